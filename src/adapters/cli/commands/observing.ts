import { isDinpError } from "@dinp/core";
import type { AppDetail, Client, EventView, LogLineView } from "@dinp/core/client";
import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { parseInteger, quote } from "../parse.js";
import { renderTable, type Cell } from "../table.js";
import type { Color } from "../terminal.js";
import { formatAgo, formatCpu, formatMemory, printable, shortId, toJson } from "../text.js";
import { appArgument, flagsOf, withRead, type ReadFlags, type Registration } from "./registry.js";

interface FollowFlags extends ReadFlags {
  readonly follow?: boolean;
  readonly number: number;
}

interface LogFlags extends FollowFlags {
  readonly instance?: string;
}

/** How long a followed stream may be without an API before it ends. */
const RECONNECT_MS = 30_000;

/** `dinp logs`, `dinp nodes` and `dinp events`. */
export function registerObserving({ program, context }: Registration): void {
  withRead(
    program
      .command("logs")
      .option("-f, --follow", "go on with what comes, until Ctrl-C")
      .option("-n, --number <lines>", "how many of the last lines of each instance", lineCount, 100)
      .option("--instance <id>", "of this instance only (the beginning of its id is enough)"),
  )
    .summary("show what an app writes")
    .description("Shows what an app's instances write to their output, each line after its instance's id.")
    .argument(...appArgument())
    .action(async (app: string, flags: LogFlags, command: Command) => {
      await logs(context, app, flagsOf(flags, command));
    });
  withRead(program.command("nodes"))
    .summary("list the machines that run instances")
    .description("Lists the nodes: what each runs, and how much of it is reserved.")
    .action(async (flags: ReadFlags, command: Command) => {
      await nodes(context, flagsOf(flags, command));
    });
  withRead(
    program
      .command("events")
      .option("-f, --follow", "go on with what comes, until Ctrl-C")
      .option("-n, --number <n>", "how many of the last events", lineCount, 50),
  )
    .summary("show what the platform did, and why")
    .description("Shows what users and the platform did, oldest first; of one app, or of all.")
    .argument("[app]", "name of the app", parseAppName)
    .action(async (app: string | undefined, flags: FollowFlags, command: Command) => {
      await events(context, app, flagsOf(flags, command));
    });
}

function lineCount(text: string): number {
  return parseInteger(text, "-n", 0, 1_000);
}

async function logs(context: Context, app: string, flags: LogFlags): Promise<void> {
  const client = await context.connect(flags);
  const { signal } = context;
  const detail = await client.getApp(app, { signal });
  const instance = flags.instance === undefined ? undefined : resolveInstance(detail, flags.instance);
  let tail = flags.number;
  let lines = 0;
  const open = (): AsyncIterable<LogLineView> => {
    const request = { tail, follow: flags.follow, ...(instance === undefined ? {} : { instance }) };
    tail = 0;
    return client.logs(app, request, { signal });
  };
  await each(context, flags.follow === true, open, (line) => {
    lines += 1;
    if (flags.json === true) context.out.line(toJson(line));
    else context.out.line(`${prefixOf(context, line)} ${printable(line.text)}`);
  });
  context.throwIfInterrupted();
  if (lines === 0 && flags.json !== true) context.err.line(`${app} has written nothing (${detail.state}).`);
}

const instanceColors: readonly Color[] = ["cyan", "yellow", "green", "magenta", "blue"];

function prefixOf(context: Context, line: LogLineView): string {
  const id = printable(shortId(line.instanceId));
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 9_973;
  return context.out.paint(instanceColors[sum % instanceColors.length] ?? "cyan", id);
}

/** The whole id for its beginning; a whole id of an instance that is gone is left as it is. */
function resolveInstance(detail: AppDetail, text: string): string {
  const ids = detail.instanceList.map((instance) => instance.id);
  const matches = ids.filter(
    (id) => id.startsWith(text) || id.slice(id.lastIndexOf("-") + 1).startsWith(text),
  );
  const [first, second] = matches;
  if (second !== undefined && !ids.includes(text)) {
    throw usageError(
      `${quote(text)} begins more than one instance's id.`,
      `Say more of it: ${matches.join(", ")}`,
    );
  }
  return ids.includes(text) ? text : (first ?? text);
}

/** Calls `show` for every value; a followed stream that breaks is opened again, for a bounded time. */
async function each<T>(
  context: Context,
  isFollowed: boolean,
  open: () => AsyncIterable<T>,
  show: (value: T) => void,
): Promise<void> {
  let brokenSince: number | null = null;
  for (;;) {
    try {
      for await (const value of open()) {
        brokenSince = null;
        show(value);
        await context.out.drained(context.signal);
      }
      if (!isFollowed || context.signal.aborted) return;
      brokenSince ??= context.now();
    } catch (error) {
      if (context.signal.aborted) return;
      if (!isFollowed || !(isDinpError(error, "DINP_UNAVAILABLE") || isDinpError(error, "DINP_TIMEOUT")))
        throw error;
      if (brokenSince === null)
        context.err.line("Lost the connection to the API; trying again (lines may be missing)");
      brokenSince ??= context.now();
      if (context.now() - brokenSince >= RECONNECT_MS) throw error;
    }
    await context.pause(500);
  }
}

async function nodes(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listNodes({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("There are no nodes: nothing can run. A node appears when its agent connects.");
    return;
  }
  const rows = items.map((node): Cell[] => [
    node.id,
    node.address,
    node.runtime,
    node.cordoned ? { text: "cordoned", color: "yellow" } : "open",
    String(node.instances),
    `${formatMemory(node.reservedMemoryMb)} of ${formatMemory(node.memoryMb)}`,
    `${String(node.reservedCpuMillis / 1000)} of ${formatCpu(node.cpuMillis)}`,
    node.programs === null ? "(in images)" : node.programs.join(" "),
  ]);
  const columns = [
    { header: "NODE" },
    { header: "ADDRESS" },
    { header: "RUNTIME" },
    { header: "STATE" },
    { header: "INSTANCES", align: "right" },
    { header: "MEMORY RESERVED", align: "right" },
    { header: "CPU RESERVED", align: "right" },
    { header: "PROGRAMS" },
  ] as const;
  for (const line of renderTable(columns, rows, { paint: context.out.paint, width: context.out.columns })) {
    context.out.line(line);
  }
}

async function events(context: Context, app: string | undefined, flags: FollowFlags): Promise<void> {
  const client = await context.connect(flags);
  if (flags.follow === true) {
    await followEvents(context, client, app, flags);
    return;
  }
  const request = { limit: flags.number, ...(app === undefined ? {} : { app }) };
  const items = await client.listEvents(request, { signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("Nothing happened yet.");
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
  for (const line of renderTable(columns, rows, { paint: context.out.paint, width: context.out.columns })) {
    context.out.line(line);
  }
}

async function followEvents(
  context: Context,
  client: Client,
  app: string | undefined,
  flags: FollowFlags,
): Promise<void> {
  const { signal } = context;
  let limit = flags.number;
  const open = (): AsyncIterable<EventView> => {
    const request = { limit, ...(app === undefined ? {} : { app }) };
    limit = 0;
    return client.followEvents(request, { signal });
  };
  await each(context, true, open, (event) => {
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

function eventCells(event: EventView): readonly [string, string, string, string] {
  return [
    printable(event.appName ?? "-"),
    printable(event.type),
    printable(event.actor),
    printable(event.message),
  ];
}
