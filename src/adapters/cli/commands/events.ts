import type { Client, EventView } from "@dinp/core/client";
import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { parseMoment } from "../parse.js";
import { showEach } from "../show-stream.js";
import { printTable } from "../table.js";
import { formatAgo, printable, toJson } from "../text.js";
import { flagsOf, withFollow, type FollowFlags, type Registration } from "./shared-options.js";

interface EventFlags extends FollowFlags {
  readonly type?: string;
  readonly since?: TimeArgument;
  readonly until?: TimeArgument;
  readonly all?: boolean;
}

/** A time, in terms of now. */
type TimeArgument = (now: number) => number;

/** How many past events are asked for when a followed stream is opened again. */
const FOLLOWED_AGAIN = 1_000;

/** `dinp events`. */
export function registerEvents({ program, context }: Registration): void {
  withFollow(program.command("events"), "n", "how many of the last events", 50)
    .option("--type <type>", "only these: release.created, or release for all that begin so")
    .option("--since <time>", "only of the last 90s, 5m, 2h, 7d …, or from this date on", (text) =>
      parseMoment(text, "--since"),
    )
    .option("--until <time>", "only before that", (text) => parseMoment(text, "--until"))
    .option("--all", "all that are kept, not only the last ones")
    .summary("show what the platform did, and why")
    .description("Shows what users and the platform did, oldest first; of one app, or of all.")
    .argument("[app]", "name of the app", parseAppName)
    .action(async (app: string | undefined, flags: EventFlags, command: Command) => {
      await events(context, app, flagsOf(flags, command));
    });
}

async function events(context: Context, app: string | undefined, flags: EventFlags): Promise<void> {
  const { type, since, until } = flags;
  const isFiltered = type !== undefined || since !== undefined || until !== undefined;
  if (flags.follow === true && (isFiltered || flags.all === true))
    throw usageError(
      "--follow shows all that comes: it goes with none of --type, --since, --until and --all.",
    );
  const client = await context.connect(flags);
  if (flags.follow === true) {
    await followEvents(context, client, app, flags);
    return;
  }
  const items = await pastEvents(context, client, app, flags);
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    if (flags.number > 0)
      context.err.line(isFiltered ? "Nothing like that happened." : "Nothing happened yet.");
    return;
  }
  const now = context.now();
  const rows = items.map((event) => [formatAgo(event.at, now), ...eventCells(event)]);
  const columns = [
    { header: "WHEN" },
    { header: "APP" },
    { header: "EVENT" },
    { header: "BY" },
    { header: "MESSAGE" },
  ];
  printTable(context.out, columns, rows);
}

/** The last ones, or all, oldest first. */
async function pastEvents(
  context: Context,
  client: Client,
  app: string | undefined,
  flags: EventFlags,
): Promise<readonly EventView[]> {
  const now = context.now();
  const wanted = flags.all === true ? Number.POSITIVE_INFINITY : flags.number;
  const query = { app, type: flags.type, since: flags.since?.(now), until: flags.until?.(now) };
  const pages: (readonly EventView[])[] = [];
  let count = 0;
  for (let cursor: string | undefined; count < wanted;) {
    const limit = Math.min(1_000, wanted - count);
    const page = await client.pageEvents({ ...query, limit, cursor }, { signal: context.signal });
    pages.unshift(page.items);
    count += page.items.length;
    if (page.next === null) break;
    cursor = page.next;
  }
  return pages.flat();
}

async function followEvents(
  context: Context,
  client: Client,
  app: string | undefined,
  flags: FollowFlags,
): Promise<void> {
  const { signal } = context;
  let limit = flags.number;
  const told = new Set<string>();
  let since: number | null = null;
  const open = (): AsyncIterable<EventView> => {
    const request = { limit, ...(app === undefined ? {} : { app }) };
    return client.followEvents(request, { signal });
  };
  await showEach(context, true, open, (event) => {
    since ??= event.at;
    // Opened again, the stream begins before what was missed, and before what was asked for.
    if (told.has(event.id) || event.at < since) return;
    limit = FOLLOWED_AGAIN;
    remember(told, event.id);
    if (flags.json === true) {
      context.out.line(toJson(event));
      return;
    }
    const time = new Date(event.at).toTimeString().slice(0, 8);
    const [appName, type, actor, message] = eventCells(event);
    context.out.line(`${context.out.paint("dim", time)}  ${appName}  ${type}  ${message} (${actor})`);
  });
  context.throwIfInterrupted();
}

/** Adds an id, and forgets the oldest of too many. */
function remember(told: Set<string>, id: string): void {
  told.add(id);
  if (told.size <= 2 * FOLLOWED_AGAIN) return;
  for (const oldest of told) {
    told.delete(oldest);
    return;
  }
}

function eventCells(event: EventView): readonly [string, string, string, string] {
  return [
    printable(event.appName ?? "-"),
    printable(event.type),
    printable(event.actor),
    printable(event.message),
  ];
}
