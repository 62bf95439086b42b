import type { EnvRequest, SecretView } from "@dinp/core/client";
import type { Command } from "commander";
import type { Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { readAll, readLine } from "../input.js";
import { parseVariableName, parseVariables } from "../parse.js";
import { renderTable } from "../table.js";
import { toJson } from "../text.js";
import { addAppGroup } from "./app-group.js";
import { finishRelease, tellChange } from "./finish-release.js";
import {
  appArgument,
  flagsOf,
  withRead,
  withWait,
  type ReadFlags,
  type Registration,
  type WaitFlags,
} from "./shared-options.js";

/** More than a secret may have: the API says how much that is. */
const INPUT_BYTES_MAX = 256 * 1024;

interface SetFlags extends WaitFlags {
  readonly secret?: string;
}

const secretHelp = `
The value of a secret comes through standard input, with all of its lines but without the last line's end; from a
terminal it is asked for, and not shown. It is kept sealed, and nobody is told it again.`;

/** `dinp env`, `env list`, `env set` and `env unset`. */
export function registerEnv({ program, context }: Registration): void {
  const env = addAppGroup(program, {
    name: "env",
    summary: "show or change an app's environment",
    description: "Shows an app's environment variables. Changing them makes a new release.",
    usage: ["<app>", "set <app> <K=V...>", "set <app> --secret <K>", "unset <app> <K...>"],
    examples: ["APP", "set APP K=V", "set APP --secret K < FILE", "unset APP K"],
    show: (app, flags) => list(context, app, flags),
  });
  withRead(env.command("list"))
    .summary("show the variables")
    .argument(...appArgument())
    .action(async (app: string, flags: ReadFlags, command: Command) => {
      await list(context, app, flagsOf(flags, command));
    });
  withWait(env.command("set"))
    .summary("set variables: a new release")
    .argument(...appArgument())
    .argument("[K=V...]", "variables and their values")
    .option(
      "--secret <K>",
      "a variable whose value is asked for, or read from standard input, and kept sealed",
    )
    .addHelpText("after", secretHelp)
    .action(async (app: string, pairs: readonly string[], flags: SetFlags, command: Command) => {
      const { secret: name } = flags;
      const set = { set: parseVariables(pairs) };
      if (name === undefined && pairs.length === 0)
        throw usageError("There is nothing to set.", "Write KEY=VALUE, or --secret KEY");
      const secrets =
        name === undefined ? {} : { secrets: { [parseVariableName(name)]: await readSecret(context, name) } };
      await change(context, app, { ...set, ...secrets }, flagsOf(flags, command));
    });
  withWait(env.command("unset"))
    .summary("remove variables: a new release")
    .argument(...appArgument())
    .argument("<K...>", "names of variables")
    .action(async (app: string, names: readonly string[], flags: WaitFlags, command: Command) => {
      await change(context, app, { unset: names.map(parseVariableName) }, flagsOf(flags, command));
    });
}

async function list(context: Context, app: string, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const view = await client.getEnv(app, { signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson(view, 2));
    return;
  }
  const rows = [
    ...Object.entries(view.env).map(([name, value]) => [name, "dinp env set", value] as const),
    ...Object.entries(view.manifestEnv)
      .filter(([name]) => !Object.hasOwn(view.env, name) && !Object.hasOwn(view.secrets, name))
      .map(([name, value]) => [name, "dinp.yaml", value] as const),
    ...Object.entries(view.secrets).map(
      ([name, secret]) => [name, "dinp env set", secretText(secret)] as const,
    ),
  ].sort(([a], [b]) => (a < b ? -1 : 1));
  if (rows.length === 0) {
    context.err.line(`${app} has no variables. Set one: dinp env set ${app} KEY=VALUE`);
    return;
  }
  const columns = [{ header: "NAME" }, { header: "FROM" }, { header: "VALUE" }];
  // Values are never cut: they are there to be copied.
  for (const line of renderTable(columns, rows, { paint: context.out.paint })) context.out.line(line);
}

/** `(secret, version 3, set 2026-01-31)` */
function secretText({ version, setAt }: SecretView): string {
  const when = setAt === null ? "" : `, set ${new Date(setAt).toISOString().slice(0, 10)}`;
  return `(secret, version ${String(version)}${when})`;
}

async function readSecret(context: Context, name: string): Promise<string> {
  const { stdin } = context.options;
  const { signal } = context;
  const isPrompt = stdin.isTTY === true;
  if (isPrompt) context.err.raw(`Value of ${name}: `);
  try {
    const value = isPrompt
      ? await readLine(stdin, { hidden: true, signal })
      : Buffer.from(await readAll(stdin, INPUT_BYTES_MAX, signal)).toString("utf8");
    if (value.replace(/\r?\n$/, "") !== "") return value.replace(/\r?\n$/, "");
  } finally {
    if (isPrompt) context.err.line();
  }
  throw usageError("There is no value.", "Type it, or give it through standard input.");
}

async function change(context: Context, app: string, request: EnvRequest, flags: WaitFlags): Promise<void> {
  const client = await context.connect(flags);
  const release = await client.changeEnv(app, request, { signal: context.signal });
  const unchanged = `release ${String(release.number)} of ${app} has these variables already`;
  tellChange(context, app, release, unchanged);
  await finishRelease(context, client, app, release, flags);
}
