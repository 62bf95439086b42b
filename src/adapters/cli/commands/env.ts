import type { EnvRequest } from "@dinp/core/client";
import type { Command } from "commander";
import type { Context } from "../context.js";
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

/** `dinp env`, `env list`, `env set` and `env unset`. */
export function registerEnv({ program, context }: Registration): void {
  const env = addAppGroup(program, {
    name: "env",
    summary: "show or change an app's environment",
    description: "Shows an app's environment variables. Changing them makes a new release.",
    usage: ["<app>", "set <app> <K=V...>", "unset <app> <K...>"],
    examples: ["APP", "set APP K=V", "unset APP K"],
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
    .argument("<K=V...>", "variables and their values")
    .action(async (app: string, pairs: readonly string[], flags: WaitFlags, command: Command) => {
      await change(context, app, { set: parseVariables(pairs) }, flagsOf(flags, command));
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
      .filter(([name]) => !Object.hasOwn(view.env, name))
      .map(([name, value]) => [name, "dinp.yaml", value] as const),
  ].sort(([a], [b]) => (a < b ? -1 : 1));
  if (rows.length === 0) {
    context.err.line(`${app} has no variables. Set one: dinp env set ${app} KEY=VALUE`);
    return;
  }
  const columns = [{ header: "NAME" }, { header: "FROM" }, { header: "VALUE" }];
  // Values are never cut: they are there to be copied.
  for (const line of renderTable(columns, rows, { paint: context.out.paint })) context.out.line(line);
}

async function change(context: Context, app: string, request: EnvRequest, flags: WaitFlags): Promise<void> {
  const client = await context.connect(flags);
  const release = await client.changeEnv(app, request, { signal: context.signal });
  const unchanged = `release ${String(release.number)} of ${app} has these variables already`;
  tellChange(context, app, release, unchanged);
  await finishRelease(context, client, app, release, flags);
}
