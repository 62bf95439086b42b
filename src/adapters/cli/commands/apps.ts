import type { AppDetail, AppState } from "@dinp/core/client";
import { Option, type Command } from "commander";
import type { Context } from "../context.js";
import { parseInteger } from "../parse.js";
import { stateAndReason } from "../instance-cells.js";
import { renderTable, type Cell } from "../table.js";
import type { Color } from "../terminal.js";
import {
  count,
  formatAgo,
  formatCommand,
  formatCpu,
  formatMemory,
  pad,
  printable,
  shortDigest,
  shortId,
  toJson,
} from "../text.js";
import { tally } from "../wait-guards.js";
import { appArgument, flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

const stateColors: Readonly<Record<AppState, Color>> = {
  running: "green",
  deploying: "cyan",
  starting: "cyan",
  degraded: "yellow",
  crashing: "red",
  stopped: "dim",
  stopping: "dim",
  deleting: "dim",
  empty: "dim",
};

/** `dinp apps` and `dinp app`. */
export function registerApps({ program, context }: Registration): void {
  withRead(
    program
      .command("apps")
      .addOption(new Option("--state <state>", "only those in this state").choices(Object.keys(stateColors)))
      .option("--prefix <text>", "only those whose names begin so")
      .option("--limit <n>", "at most so many", (text) => parseInteger(text, "--limit", 1, 1_000)),
  )
    .summary("list the apps")
    .description("Lists the apps, how many of their instances are ready, and where they answer.")
    .action(async (flags: AppsFlags, command: Command) => {
      await listApps(context, flagsOf(flags, command));
    });
  withRead(program.command("app"))
    .summary("show one app: state, instances, problems")
    .description("Shows one app: where it answers, its instances, and what is wrong and what to do about it.")
    .argument(...appArgument())
    .action(async (app: string, flags: ReadFlags, command: Command) => {
      await showApp(context, app, flagsOf(flags, command));
    });
}

interface AppsFlags extends ReadFlags {
  readonly state?: AppState;
  readonly prefix?: string;
  readonly limit?: number;
}

async function listApps(context: Context, flags: AppsFlags): Promise<void> {
  const client = await context.connect(flags);
  const { signal } = context;
  const { state, prefix, limit } = flags;
  const page =
    limit === undefined
      ? { items: await client.listApps({ state, prefix, signal }), next: null }
      : await client.pageApps({ state, prefix, limit }, { signal });
  const { items } = page;
  if (flags.json === true) {
    context.out.line(toJson(page.next === null ? { items } : page, 2));
    return;
  }
  if (page.next !== null) context.err.line(`These are the first ${String(items.length)}; there are more.`);
  if (items.length === 0) {
    const isFiltered = state !== undefined || prefix !== undefined;
    if (isFiltered) context.err.line("No app is like that.");
    else context.err.line('There are no apps yet. "dinp push DIR" makes one.');
    return;
  }
  const rows = items.map((app): Cell[] => [
    app.name,
    { text: app.state, color: stateColors[app.state] },
    `${String(app.ready)}/${String(app.instances)}`,
    app.release === null ? "-" : String(app.release),
    app.urls[0] ?? "-",
  ]);
  const columns = [
    { header: "NAME" },
    { header: "STATE" },
    { header: "READY", align: "right" },
    { header: "RELEASE", align: "right" },
    { header: "URL" },
  ] as const;
  // Not cut to the terminal: the addresses are there to be copied.
  for (const line of renderTable(columns, rows, { paint: context.out.paint })) context.out.line(line);
}

async function showApp(context: Context, name: string, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const app = await client.getApp(name, { signal: context.signal });
  if (flags.json === true) context.out.line(toJson(app, 2));
  else for (const line of renderApp(context, app)) context.out.line(line);
}

/** The page that one looks at when something is wrong. */
function renderApp(context: Context, app: AppDetail): string[] {
  const { paint } = context.out;
  const now = context.now();
  const advice = adviceFor(app);
  const width = Math.max(0, ...advice.map(([command]) => command.length));
  return [
    `${paint("bold", app.name)} is ${paint(stateColors[app.state], app.state)}${isWanted(app) ? `: ${tally(app.ready, app.instances)}` : ""}`,
    "",
    ...app.urls.map((url, index) => field(index === 0 ? "URL" : "", url)),
    field("release", app.release === null ? "none yet" : releaseLine(app)),
    ...(app.command.length === 0 ? [] : [field("command", formatCommand(app.command))]),
    field(
      "size",
      `${count(app.instances, "instance")} of ${formatMemory(app.memoryMb)}, ${formatCpu(app.cpuMillis)}`,
    ),
    field("created", formatAgo(app.createdAt, now)),
    ...instancesSection(context, app, now),
    ...problemsSection(context, app, now),
    ...(advice.length === 0 ? [] : ["", "What to do"]),
    ...advice.map(([command, effect]) => `  ${pad(command, width)}  ${effect}`),
  ];
}

/** False for apps that nobody expects an answer of. */
function isWanted(app: AppDetail): boolean {
  return app.desired === "running" && app.state !== "empty" && app.state !== "deleting" && app.instances > 0;
}

function field(name: string, value: string): string {
  return `  ${name.padEnd(8)}  ${printable(value)}`;
}

function releaseLine(app: AppDetail): string {
  const digest = app.digest === null ? "" : `, ${shortDigest(app.digest)}`;
  const template = app.template === null ? "" : `, template ${app.template}`;
  const rollout = app.rollout === null ? "" : ` (rollout ${app.rollout.state})`;
  return `${String(app.release)}${rollout}${digest}${template}`;
}

function instancesSection(context: Context, app: AppDetail, now: number): string[] {
  if (app.instanceList.length === 0) return [];
  const columns = [
    { header: "INSTANCE" },
    { header: "RELEASE", align: "right" },
    { header: "STATE" },
    { header: "NODE" },
    { header: "ENDPOINT" },
    { header: "STARTED" },
    { header: "REASON" },
  ] as const;
  const rows = app.instanceList.map((instance): Cell[] => {
    const [state, reason] = stateAndReason(instance);
    return [
      ...[shortId(instance.id), String(instance.release), state],
      ...[instance.node, instance.endpoint ?? "-"],
      instance.startedAt === null ? "-" : formatAgo(instance.startedAt, now),
      reason,
    ];
  });
  const { paint, columns: width } = context.out;
  return ["", ...renderTable(columns, rows, { paint, width, indent: 2 })];
}

function problemsSection(context: Context, app: AppDetail, now: number): string[] {
  const { paint } = context.out;
  const lines = app.notices.map((notice) => `  ${paint("yellow", printable(notice))}`);
  const { rollout, lastCrash } = app;
  if (lastCrash !== null && !app.notices.some((notice) => notice.includes(lastCrash.reason))) {
    const failures = count(lastCrash.failures, "failure");
    const when = formatAgo(lastCrash.at, now);
    const since = lastCrash.failures === 1 ? when : `in a row, the last ${when}`;
    lines.push(`  ${paint("red", `${failures} ${since}: ${printable(lastCrash.reason)}`)}`);
  }
  const tail = (lastCrash?.logTail.length ?? 0) > 0 ? lastCrash?.logTail : rollout?.logTail;
  for (const line of tail ?? []) lines.push(`    | ${printable(line)}`);
  return lines.length === 0 ? [] : ["", "Problems", ...lines];
}

/** Commands that help now, each with what it does. */
function adviceFor(app: AppDetail): (readonly [command: string, effect: string])[] {
  const { name } = app;
  const logs = [`dinp logs ${name}`, "what it wrote"] as const;
  const events = [`dinp events ${name}`, "what the platform did, and why"] as const;
  const hasOlder = app.release !== null && app.release > 1;
  const back = hasOlder ? ([[`dinp rollback ${name}`, "back to the release before"]] as const) : [];
  switch (app.state) {
    case "running":
      return app.rollout?.state === "failed" ? [logs, ...back] : [];
    case "crashing":
    case "degraded":
      return [logs, events, ...back];
    case "deploying":
    case "starting":
      return [[`dinp events ${name} -f`, "watch what the platform does"]];
    case "stopped":
      return [[`dinp start ${name}`, "start it again"]];
    case "empty":
      return [[`dinp push DIR --app ${name}`, "give it something to run"]];
    case "stopping":
    case "deleting":
      return [];
  }
}
