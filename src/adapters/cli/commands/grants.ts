import type { AppGrants } from "@dinp/core/client";
import type { Command } from "commander";
import type { Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { parseInteger } from "../parse.js";
import { printTable } from "../table.js";
import { printable, toJson } from "../text.js";
import { addAppGroup } from "./app-group.js";
import { finishRelease, tellChange } from "./finish-release.js";
import {
  appArgument,
  flagsOf,
  withWait,
  type ReadFlags,
  type Registration,
  type WaitFlags,
} from "./shared-options.js";

interface SetFlags extends WaitFlags {
  readonly user?: string;
  readonly writableRoot?: boolean;
  readonly capability?: readonly string[];
  readonly newPrivileges?: boolean;
  readonly pids?: string;
}

const PIDS_MAX = 32_768;

const examples = `
Examples:
  dinp grants set shop --user image                 run as the image's own user, also root
  dinp grants set shop --writable-root --pids 2048
  dinp grants clear shop

What is not named is taken away. An app that may do more can do more harm when it is broken into: grant what it needs.`;

/** `dinp grants`, `grants set` and `grants clear`. */
export function registerGrants({ program, context }: Registration): void {
  const grants = addAppGroup(program, {
    name: "grants",
    summary: "show or change what an app may do beyond the defaults",
    description: "Shows what an app's containers may do beyond the defaults. Only an admin can change it.",
    usage: ["<app>", "set <app> [options]", "clear <app>"],
    examples: ["APP", "set APP --user image", "clear APP"],
    show: (app, flags) => show(context, app, flags),
  });
  withWait(grants.command("set"))
    .summary("let an app do exactly this: a new release")
    .argument(...appArgument())
    .option("--user <user>", "image, UID, UID:GID or a name in the image")
    .option("--writable-root", "it can write to its own copy of the image's files")
    .option("--capability <name...>", "Linux capabilities that it keeps, such as NET_RAW")
    .option("--new-privileges", "set-user-id programs gain what they are marked with")
    .option("--pids <count>", "processes and threads")
    .addHelpText("after", examples)
    .action(async (app: string, flags: SetFlags, command: Command) => {
      const wanted = grantsOf(flags);
      if (Object.keys(wanted).length === 0)
        throw usageError(
          "Nothing is granted.",
          `Name what ${app} may do (--user, --writable-root …), or take all away: dinp grants clear ${app}`,
        );
      await change(context, app, wanted, flagsOf(flags, command));
    });
  withWait(grants.command("clear"))
    .summary("take all of it away: a new release")
    .argument(...appArgument())
    .action(async (app: string, flags: WaitFlags, command: Command) => {
      await change(context, app, {}, flagsOf(flags, command));
    });
}

function grantsOf({ user, writableRoot, capability, newPrivileges, pids }: SetFlags): AppGrants {
  return {
    ...(user === undefined ? {} : { user }),
    ...(writableRoot === true ? { writableRoot } : {}),
    ...(capability === undefined ? {} : { capabilities: capability }),
    ...(newPrivileges === true ? { newPrivileges } : {}),
    ...(pids === undefined ? {} : { pidsMax: parseInteger(pids, "--pids", 1, PIDS_MAX) }),
  };
}

async function show(context: Context, app: string, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const grants = await client.getGrants(app, { signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson(grants, 2));
    return;
  }
  const rows = [
    ...(grants.user === undefined ? [] : [["user", printable(grants.user)]]),
    ...(grants.writableRoot === true ? [["writable root", "yes"]] : []),
    ...(grants.capabilities ?? []).map((name) => ["capability", printable(name)]),
    ...(grants.newPrivileges === true ? [["new privileges", "yes"]] : []),
    ...(grants.pidsMax === undefined ? [] : [["processes", String(grants.pidsMax)]]),
  ];
  if (rows.length === 0) context.err.line(`${app} may do nothing beyond the defaults.`);
  else printTable(context.out, [{ header: "GRANT" }, { header: "VALUE" }], rows);
}

async function change(context: Context, app: string, grants: AppGrants, flags: WaitFlags): Promise<void> {
  const client = await context.connect(flags);
  const release = await client.setGrants(app, grants, { signal: context.signal });
  tellChange(context, app, release, `${app} may do exactly this already`);
  await finishRelease(context, client, app, release, flags);
}
