import { isDinpError, messageOf, type DinpError } from "@dinp/core";
import { Command, CommanderError } from "commander";
import { registerApps } from "./commands/apps.js";
import { registerDomains } from "./commands/domains.js";
import { registerEnv } from "./commands/env.js";
import { registerObserving } from "./commands/observing.js";
import { registerPush } from "./commands/push.js";
import { withConnection, type Registration } from "./commands/registry.js";
import { registerReleases } from "./commands/releases.js";
import { registerScaling } from "./commands/scaling.js";
import { registerSession } from "./commands/session.js";
import { registerUp } from "./commands/up.js";
import { Context, type CliOptions } from "./context.js";
import { defaultApiUrl } from "./credentials.js";
import { CliError, exitCodeOf, exitCodes, exitCodesHelp } from "./exit-codes.js";
import { printable } from "./text.js";

/** The `dinp` command line. */
export interface Cli {
  /**
   * Runs one command (`argv` without the program's own words) and gives its exit code; never rejects.
   * Every run is by itself: streams and listeners are left as they were found.
   */
  run(argv: readonly string[]): Promise<number>;
}

/** Makes the command line out of what it works with. Does nothing before {@link Cli.run}. */
export function createCli(options: CliOptions): Cli {
  return { run: (argv) => run(options, argv) };
}

async function run(options: CliOptions, argv: readonly string[]): Promise<number> {
  const context = new Context(options);
  let exitCode: number = exitCodes.ok;
  const reader = { isGone: false };
  const onStreamError = (): void => {
    // Nobody reads any more (EPIPE), or nothing can be written: there is no one to tell.
    reader.isGone = true;
    context.interrupt();
  };
  options.stdout.on("error", onStreamError);
  options.stderr.on("error", onStreamError);
  const program = buildProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    exitCode = reader.isGone ? exitCodes.brokenPipe : report(context, program, argv, error);
  }
  await flushed(options.stdout);
  await flushed(options.stderr);
  options.stdout.off("error", onStreamError);
  options.stderr.off("error", onStreamError);
  context.dispose();
  return reader.isGone ? exitCodes.brokenPipe : exitCode;
}

/** Resolves when what was written has been taken over, or cannot be. */
function flushed(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    if (!stream.writable) {
      resolve();
      return;
    }
    stream.write("", () => {
      resolve();
    });
  });
}

function buildProgram(context: Context, onExit: (exitCode: number) => void): Command {
  const program = new Command("dinp");
  program
    .description("Runs web applications: push built code, and it answers at its own address.")
    .usage("<command> [options]")
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureHelp({ helpWidth: context.out.columns ?? 100, subcommandTerm: termOf })
    .configureOutput({
      writeOut: (text) => {
        context.out.raw(text);
      },
      writeErr: (text) => {
        context.err.raw(text);
      },
      outputError: () => undefined,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .helpCommand(false);
  if (context.options.version !== undefined) program.version(context.options.version, "-V, --version");
  withConnection(program);
  const registration: Registration = { program, context };
  program.commandsGroup("Start here:");
  if (context.options.up !== undefined) registerUp(registration, context.options.up, onExit);
  registerSession(registration);
  registerPush(registration);
  program.commandsGroup("Apps:");
  registerApps(registration);
  registerScaling(registration);
  registerEnv(registration);
  registerDomains(registration);
  registerReleases(registration);
  program.commandsGroup("Looking at it:");
  registerObserving(registration);
  program.addHelpText("after", helpFooter);
  return program;
}

const helpFooter = `
The API is --api, else DINP_API, else the one of the last "dinp login", else ${defaultApiUrl};
the token is --token, else DINP_TOKEN, else the one that "dinp login" (or "dinp up") stored.

${exitCodesHelp}

"dinp COMMAND --help" says more of one command. NO_COLOR=1 turns colors off, DINP_DEBUG=1 shows stack traces.`;

/** How a command stands in the list: its name and arguments, or the names of its own commands. */
function termOf(command: Command): string {
  const inner = command.commands.map((each) => each.name()).filter((name) => name !== "list");
  const options = inner.length > 0 ? ` [${inner.join("|")}] <app>` : "";
  const words = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? ` <${name}>` : ` [${name}]`;
  });
  return `${command.name()}${inner.length > 0 ? options : words.join("")}`;
}

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
  run: "push",
  serve: "up",
  show: "app",
  status: "app",
};

/** Prints what went wrong and gives the exit code. */
function report(context: Context, program: Command, argv: readonly string[], error: unknown): number {
  const { err } = context;
  err.clearLive();
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
  if (error instanceof CommanderError && error.code === "commander.help") return exitCodes.usage;
  const failure = error instanceof CommanderError ? usageFailure(error, argv) : failureOf(context, error);
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
  if (error.code === "commander.excessArguments" && argv[0] === "push" && argv.includes("--env")) {
    hints.push("Repeat --env for each variable: --env A=1 --env B=2");
  }
  return { exitCode: exitCodes.usage, message, hints };
}

function failureOf(context: Context, error: unknown): Failure {
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
  const own = ownHint(context, error);
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
      if (isAnswered) return undefined;
      return `Start it with "dinp up", or name another: --api URL, DINP_API, or "dinp login --api URL".`;
    default:
      return undefined;
  }
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
