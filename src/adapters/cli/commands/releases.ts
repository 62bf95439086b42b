import type { RollbackRequest, RolloutViewState } from "@dinp/core/client";
import type { Command } from "commander";
import type { Context } from "../context.js";
import { parseInteger } from "../parse.js";
import { printTable, type Cell } from "../table.js";
import type { Color } from "../terminal.js";
import { formatAgo, formatMemory, shortDigest, toJson } from "../text.js";
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

const rolloutColors: Readonly<Record<RolloutViewState, Color>> = {
  pending: "yellow",
  running: "yellow",
  complete: "green",
  failed: "red",
  superseded: "dim",
};

interface RollbackFlags extends WaitFlags {
  readonly oldSecrets?: boolean;
}

/** `dinp releases` and `dinp rollback`. */
export function registerReleases({ program, context }: Registration): void {
  withRead(program.command("releases"))
    .summary("list an app's releases")
    .description("Lists an app's releases, newest first, and how each was rolled out.")
    .argument(...appArgument())
    .action(async (app: string, flags: ReadFlags, command: Command) => {
      await list(context, app, flagsOf(flags, command));
    });
  withWait(program.command("rollback"))
    .summary("go back to an earlier release")
    .description("Makes a new release out of an earlier one, and waits until it answers.")
    .argument(...appArgument())
    .argument("[release]", "its number (default: the one before the current one)", (text: string) =>
      parseInteger(text, "The release", 1, 1_000_000_000),
    )
    .option("--old-secrets", "give its secrets the values that they had, not their latest ones")
    .action(async (app: string, to: number | undefined, flags: RollbackFlags, command: Command) => {
      await rollback(context, app, to, flagsOf(flags, command));
    });
}

async function list(context: Context, app: string, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listReleases(app, { signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line(`${app} has no releases yet. Make one: dinp push DIR --app ${app}`);
    return;
  }
  const now = context.now();
  const rows = items.map((release): Cell[] => {
    const state = release.rollout?.state;
    const number = String(release.number);
    return [
      release.current ? { text: number, color: "bold" } : number,
      release.current ? "current" : "",
      state === undefined ? "-" : { text: state, color: rolloutColors[state] },
      formatAgo(release.createdAt, now),
      release.createdBy,
      shortDigest(release.digest),
      formatMemory(release.memoryMb),
      state === "failed" && release.rollout !== null
        ? `${release.note} (${release.rollout.reason})`
        : release.note,
    ];
  });
  const columns = [
    { header: "RELEASE", align: "right" },
    { header: "" },
    { header: "ROLLOUT" },
    { header: "CREATED" },
    { header: "BY" },
    { header: "IMAGE" },
    { header: "MEMORY", align: "right" },
    { header: "NOTE" },
  ] as const;
  printTable(context.out, columns, rows);
}

async function rollback(
  context: Context,
  app: string,
  to: number | undefined,
  flags: RollbackFlags,
): Promise<void> {
  const client = await context.connect(flags);
  const request: RollbackRequest = {
    ...(to === undefined ? {} : { to }),
    ...(flags.oldSecrets === true ? { secrets: "as-released" } : {}),
  };
  const release = await client.rollback(app, request, { signal: context.signal });
  tellChange(context, app, release, `release ${String(release.number)} of ${app} is the same`);
  await finishRelease(context, client, app, release, flags);
}
