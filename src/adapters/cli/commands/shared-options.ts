import { Option, type Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { ConnectionFlags, Context } from "../context.js";
import { parseDurationMs, parseInteger } from "../parse.js";

/** What a command's module gets to add its commands to. */
export interface Registration {
  readonly program: Command;
  readonly context: Context;
}

/** How long a command waits for what it started, unless told otherwise. */
export const defaultTimeoutMs = 300_000;

/** Options of commands that wait. */
export interface WaitFlags extends ConnectionFlags {
  readonly wait: boolean;
  readonly timeout?: number;
  readonly json?: boolean;
}

/** Options of commands that read. */
export interface ReadFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** Options of commands that show the last of something, and then may go on with what comes. */
export interface FollowFlags extends ReadFlags {
  readonly follow?: boolean;
  readonly number: number;
}

/** Adds `--api` and `--token`. */
export function withConnection(command: Command): Command {
  return command
    .addOption(new Option("--api <url>", "the API to talk to").helpGroup("Connection:"))
    .addOption(
      new Option("--token <secret>", "the token to use (better: DINP_TOKEN, or dinp login)").helpGroup(
        "Connection:",
      ),
    );
}

/** Adds `--json`, `--api` and `--token`. */
export function withRead(command: Command): Command {
  return withConnection(command.option("--json", "print the API's answer as JSON"));
}

/** Adds `--follow`, `--number` (as it is described, and what it is without), `--json`, `--api` and `--token`. */
export function withFollow(command: Command, number: string, description: string, standard: number): Command {
  return withRead(
    command
      .option("-f, --follow", "go on with what comes, until Ctrl-C")
      .option(
        `-n, --number <${number}>`,
        description,
        (text) => parseInteger(text, "-n", 0, 1_000),
        standard,
      ),
  );
}

/** Adds `--timeout`, `--no-wait`, `--json`, `--api` and `--token`. */
export function withWait(command: Command): Command {
  return withConnection(
    command
      .option("--timeout <seconds>", "how long to wait (default: 300; also 90s, 5m)", (text) =>
        parseDurationMs(text, "--timeout"),
      )
      .option("--json", "print the resulting app, release or domain as JSON")
      .option("--no-wait", "return as soon as the platform has taken the change over"),
  );
}

/** The options of a command and of all above it, the innermost winning. */
export function flagsOf<Flags extends ConnectionFlags>(own: Flags, command: Command): Flags {
  let flags: Flags = own;
  for (let above = command.parent; above !== null; above = above.parent) {
    flags = { ...above.opts<Flags>(), ...flags };
  }
  return flags;
}

/** The `APP` argument, checked. */
export function appArgument(): readonly [string, string, (text: string) => string] {
  return ["<app>", "name of the app", parseAppName];
}
