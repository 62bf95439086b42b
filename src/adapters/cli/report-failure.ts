import { isDinpError, messageOf, nearest, type DinpError } from "@dinp/core";
import { CommanderError, type Command } from "commander";
import type { Context } from "./context.js";
import { CliError, exitCodeOf, exitCodes } from "./exit-codes.js";
import { printable } from "./text.js";

/** Other platforms' words for what is meant here. */
const synonyms: Readonly<Record<string, string>> = {
  config: "env",
  deploy: "push",
  destroy: "delete",
  info: "app",
  list: "apps",
  log: "logs",
  ls: "apps",
  open: "app",
  ps: "app",
  release: "releases",
  remove: "delete",
  rm: "delete",
  serve: "up",
  show: "app",
  status: "app",
};

/** Prints what went wrong and what to do, and gives the exit code. */
export async function reportFailure(
  context: Context,
  program: Command,
  argv: readonly string[],
  error: unknown,
): Promise<number> {
  const { err } = context;
  err.clearLive();
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
  if (error instanceof CommanderError && error.code === "commander.help")
    return argv[0] === "help" ? exitCodes.ok : exitCodes.usage;
  const failure =
    error instanceof CommanderError ? usageFailure(error, argv) : await failureOf(context, error);
  if (failure.exitCode === exitCodes.interrupted) {
    if (failure.message !== "") err.line(printable(failure.message));
  } else err.line(`${err.paint("red", "error:")} ${printable(failure.message)}`);
  for (const hint of failure.hints) err.line(`${err.paint("cyan", "hint:")} ${printable(hint)}`);
  if (
    failure.exitCode === exitCodes.usage &&
    (error instanceof CommanderError || failure.hints.length === 0)
  ) {
    const command = findCommand(program, argv);
    err.line(`usage: ${usageOf(command)}`);
    err.line(`       "${pathOf(command)} --help" says more`);
  }
  if ((context.options.env["DINP_DEBUG"] ?? "") !== "" && error instanceof Error) {
    for (const line of stackOf(error)) err.line(printable(line));
  }
  return failure.exitCode;
}

interface Failure {
  readonly exitCode: number;
  readonly message: string;
  readonly hints: readonly string[];
}

/** A misuse that commander found, in this program's words. */
function usageFailure(error: CommanderError, argv: readonly string[]): Failure {
  const [first = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const hints = rest.map((line) => line.replace(/^\((.*)\)$/, "$1")).filter((line) => line !== "");
  const message = `${first.charAt(0).toUpperCase()}${first.slice(1)}`;
  if (error.code === "commander.unknownCommand") {
    const word = argv.find((argument) => !argument.startsWith("-")) ?? "";
    const meant = Object.hasOwn(synonyms, word) ? synonyms[word] : undefined;
    const near = /^Did you mean ([a-z]+)\?$/.exec(hints[0] ?? "")?.[1];
    const better = meant ?? near;
    if (better !== undefined) hints.splice(0, hints.length, `Did you mean "dinp ${better}"?`);
  }
  if (
    error.code === "commander.unknownOption" &&
    (argv[0] === "run" || argv[0] === "exec") &&
    !argv.includes("--")
  ) {
    hints.push(`Write -- before the command: dinp ${argv[0]} ${argv[1] ?? "APP"} -- COMMAND`);
  }
  if (error.code === "commander.excessArguments" && argv[0] === "push" && argv.includes("--env")) {
    hints.push("Repeat --env for each variable: --env A=1 --env B=2");
  }
  return { exitCode: exitCodes.usage, message, hints };
}

async function failureOf(context: Context, error: unknown): Promise<Failure> {
  const exitCode = exitCodeOf(error);
  if (error instanceof CliError) return { exitCode, message: error.message, hints: error.hints };
  if (!isDinpError(error)) {
    return {
      exitCode,
      message: `Unexpected: ${messageOf(error)}`,
      hints: ["This is a fault in dinp itself; DINP_DEBUG=1 shows where."],
    };
  }
  if (error.code === "DINP_ABORTED" && context.signal.aborted)
    return { exitCode, message: "Interrupted.", hints: [] };
  const own = ownHint(context, error) ?? (await nearAppHint(context, error));
  const hint = own ?? error.hint;
  return { exitCode, message: error.message, hints: hint === undefined ? [] : [hint] };
}

/** What to do next in terms of commands, for errors whose own hint cannot know them. */
function ownHint(context: Context, error: DinpError): string | undefined {
  const { api } = context;
  if (api === null) return undefined;
  // The client keeps the failure of the connection as the cause; the API's own errors come without one.
  const isAnswered = error.cause === undefined;
  switch (error.code) {
    case "DINP_UNAUTHENTICATED":
      if (api.tokenFrom === "environment") return `The token came from DINP_TOKEN; is it one of ${api.url}?`;
      if (api.tokenFrom === "flag")
        return `Is it a token of ${api.url}? "dinp up --new-token" makes a new one.`;
      return api.token === null
        ? `Run "dinp login --api ${api.url}" with the token that "dinp up" printed.`
        : `The stored token is no longer good. Run "dinp login --api ${api.url}".`;
    case "DINP_UNAVAILABLE":
      if (isAnswered || error.details["distrusted"] === true) return undefined;
      return `Start it with "dinp up", or name another: --api URL, DINP_API, or "dinp login --api URL".`;
    default:
      return undefined;
  }
}

/** How long the names of apps are waited for, once a name was wrong. */
const NAMES_MS = 2_000;
const NAMES_MAX = 1_000;

/** The name that was meant, when there is no app of the name that was given. */
async function nearAppHint(context: Context, error: DinpError): Promise<string | undefined> {
  const { api } = context;
  const wanted = error.details["app"];
  if (api === null || !isDinpError(error, "DINP_NOT_FOUND") || typeof wanted !== "string") return undefined;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(NAMES_MS)]);
  const page = await context
    .clientOf(api)
    .pageApps({ limit: NAMES_MAX }, { signal })
    .catch(() => null);
  const names = page?.items.map(({ name }) => name) ?? [];
  const near = nearest(wanted, names);
  return near === null ? undefined : `Did you mean "${near}"? "dinp apps" lists them all.`;
}

function stackOf(error: Error): string[] {
  const lines = (error.stack ?? "").split("\n").slice(1);
  if (error.cause instanceof Error) lines.push(`caused by ${error.cause.message}`, ...stackOf(error.cause));
  return lines;
}

/** The command that the words name, as far as they do. */
function findCommand(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    if (word.startsWith("-")) continue;
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return command;
}

function pathOf(command: Command): string {
  const above = command.parent;
  return above === null ? command.name() : `${pathOf(above)} ${command.name()}`;
}

function usageOf(command: Command): string {
  return `${pathOf(command)} ${command.usage()}`.trimEnd();
}
