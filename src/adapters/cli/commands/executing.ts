import { constants } from "node:os";
import { isDinpError } from "@dinp/core";
import type { ExecEvent } from "@dinp/core/client";
import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { ConnectionFlags, Context } from "../context.js";
import { CliError, exitCodes } from "../exit-codes.js";
import { findTarget } from "../find-instance.js";
import { readAll } from "../input.js";
import { parseDurationMs, parseInteger } from "../parse.js";
import { printable } from "../text.js";
import { flagsOf, withConnection, type Registration } from "./shared-options.js";

interface CommandFlags extends ConnectionFlags {
  readonly timeout?: number;
  readonly stdin: boolean;
}

interface RunFlags extends CommandFlags {
  readonly release?: number;
}

interface ExecFlags extends CommandFlags {
  readonly instance?: string;
}

const STDIN_BYTES_MAX = 1_048_576;

const notes = `
What is piped into it (at most 1 MiB) is the command's input. No terminal (pty) is allocated: programs that want one
must be told to do without. Ctrl-C ends the command where it runs. The exit code is the command's; 128 and the signal's
number when a signal ended it, 124 when --timeout did.`;

/** `dinp run` and `dinp exec`; `onExit` gets the command's exit code. */
export function registerExecuting(
  { program, context }: Registration,
  onExit: (exitCode: number) => void,
): void {
  withCommand(
    program
      .command("run")
      .summary("run a command once, as the app would run it")
      .description(
        "Runs a command apart from the app's instances: with its release's image, environment and memory, a user and\n" +
          "folders of its own, and no port. Nothing of it is left when it has ended.",
      )
      .usage("[options] <app> -- <command...>")
      .argument("<app>", "name of the app", parseAppName)
      .option("--release <n>", "of this release (default: the current one)", (text) =>
        parseInteger(text, "--release", 1, 1_000_000_000),
      ),
  )
    .addHelpText("after", `${notes}\n\nExample:\n  dinp run shop -- node migrate.js --all`)
    .action(async (app: string, words: readonly string[], flags: RunFlags, command: Command) => {
      const all = flagsOf(flags, command);
      const client = await context.connect(all);
      const request = { ...(await requestOf(context, words, all)), release: all.release };
      onExit(await show(context, app, client.run(app, request, { signal: context.signal })));
    });
  withCommand(
    program
      .command("exec")
      .summary("run a command beside a running instance")
      .description(
        "Runs a command beside a running instance of an app: with its environment, user, folders and limits.",
      )
      .usage("[options] <app|instance> -- <command...>")
      .argument("<app|instance>", "name of the app (a ready instance is taken), or an instance's id")
      .option("--instance <id>", "beside this instance (the beginning of its id is enough)"),
  )
    .addHelpText("after", `${notes}\n\nExample:\n  dinp exec shop -- cat dinp.yaml`)
    .action(async (target: string, words: readonly string[], flags: ExecFlags, command: Command) => {
      const all = flagsOf(flags, command);
      const client = await context.connect(all);
      const { app, instance } = await findTarget(context, client, target, all.instance);
      const request = { ...(await requestOf(context, words, all)), instance };
      onExit(await show(context, app, client.exec(app, request, { signal: context.signal })));
    });
}

function withCommand(command: Command): Command {
  return withConnection(
    command
      .argument("<command...>", "program and arguments, after --")
      .option("--timeout <seconds>", "end it after that (default: 1h; also 90s, 5m)", (text) =>
        parseDurationMs(text, "--timeout"),
      )
      .option("--no-stdin", "give it no input, whatever is piped into this command"),
  );
}

async function requestOf(
  context: Context,
  command: readonly string[],
  flags: CommandFlags,
): Promise<{
  readonly command: readonly string[];
  readonly stdin?: Uint8Array;
  readonly timeoutMs?: number;
}> {
  const input = context.options.stdin;
  const stdin =
    flags.stdin && input.isTTY !== true ? await readAll(input, STDIN_BYTES_MAX, context.signal) : null;
  return {
    command,
    ...(stdin === null || stdin.length === 0 ? {} : { stdin }),
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
  };
}

/** Passes the output on as it comes, and gives the exit code. */
async function show(context: Context, app: string, events: AsyncIterable<ExecEvent>): Promise<number> {
  try {
    for await (const event of events) {
      if (event.type === "exit") return exitCodeOf(context, event);
      await (event.stream === "stdout" ? context.out : context.err).bytes(event.bytes, context.signal);
    }
  } catch (error) {
    throw failureOf(app, error);
  }
  context.throwIfInterrupted();
  throw unknownEnd(app);
}

function failureOf(app: string, error: unknown): unknown {
  if (!isDinpError(error)) return error;
  if (error.code === "DINP_TIMEOUT" && error.details["timeoutMs"] !== undefined) {
    const hints = [error.hint ?? "Give it a longer --timeout."];
    return new CliError(exitCodes.commandTimedOut, error.message, { hints, cause: error });
  }
  return error.details["brokeOff"] === true ? unknownEnd(app, error) : error;
}

/** The connection was lost while the command ran. */
function unknownEnd(app: string, cause?: unknown): CliError {
  const message = `How the command of ${app} ended is not known: the API's answer broke off.`;
  const hints = [
    `"dinp events ${app}" tells, once the API is back, unless its server died; without its client the command is ended.`,
  ];
  return new CliError(exitCodes.unreachable, message, { hints, cause });
}

function exitCodeOf(context: Context, event: ExecEvent & { readonly type: "exit" }): number {
  if (event.message !== null) context.err.line(printable(event.message));
  if (event.signal === null) return event.code ?? exitCodes.failed;
  const number = Object.entries(constants.signals).find(([name]) => name === event.signal)?.[1] ?? 0;
  return 128 + number;
}
