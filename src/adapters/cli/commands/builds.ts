import type { BuildView, Client } from "@dinp/core/client";
import { Option, type Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { parseInteger } from "../parse.js";
import { parseSourceUrl } from "../push-source.js";
import { printTable, type Cell } from "../table.js";
import type { Color } from "../terminal.js";
import {
  count,
  formatAgo,
  formatBytes,
  formatCommand,
  formatDuration,
  printable,
  shortDigest,
  toJson,
} from "../text.js";
import { findCode, sayBuilt, type BuildFlags } from "../upload-build.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

interface BuildCommandFlags extends ReadFlags, BuildFlags {
  readonly app?: string;
  readonly url?: URL;
}

interface BuildsFlags extends ReadFlags {
  readonly state?: BuildView["state"];
  readonly number: number;
  readonly log?: boolean;
}

const stateColors: Readonly<Record<BuildView["state"], Color>> = {
  running: "yellow",
  succeeded: "green",
  failed: "red",
};

const NUMBER_MAX = 10_000;

const examples = `
Examples:
  dinp build ./site --app shop               the image's name on standard output
  dinp build api.tar.gz --app api --tag v2
  dinp build --url https://example.com/api-2.1.tar.gz --app api

Nothing is released: "dinp push --build ID" does that, with the app's dinp.yaml.`;

/** `dinp build` and `dinp builds`. */
export function registerBuilds({ program, context }: Registration): void {
  withRead(
    program
      .command("build")
      .summary("make an image of built code, without releasing it")
      .description("Uploads built code and stores it as an image. Nothing is released.")
      .argument("[source]", "a folder, an archive or one program, as for dinp push (default: this folder)")
      .option(
        "--url <url>",
        "an archive that the platform is to fetch itself, by http or https",
        parseSourceUrl,
      )
      .option("--app <name>", "name of the app (which need not exist)", parseAppName)
      .option("--template <name>", "how to run it; found out by itself if absent")
      .option("--base <name>", "the base image to put the app on (see dinp bases)")
      .option("--command <line>", "the command that starts it; must listen on $PORT")
      .option("--tag <tag>", "let this tag point to the image"),
  )
    .addHelpText("after", examples)
    .action(async (source: string | undefined, flags: BuildCommandFlags, command: Command) => {
      await buildOnly(context, source, flagsOf(flags, command));
    });
  withRead(
    program
      .command("builds")
      .addOption(new Option("--state <state>", "only those in this state").choices(Object.keys(stateColors)))
      .option("-n, --number <n>", "how many of the newest", parseNumber, 50)
      .option("--log", "what the builder said of this one build"),
  )
    .summary("list builds, or show one and its log")
    .description(
      "Lists builds, newest first: of one app, or of all. With a build's id: that one, and what it did.",
    )
    .argument("[app]", "name of the app", parseAppName)
    .argument("[id]", "id of one of its builds (its beginning is enough)")
    .action(async (app: string | undefined, id: string | undefined, flags: BuildsFlags, command: Command) => {
      const all = flagsOf(flags, command);
      if (app !== undefined && id !== undefined) await show(context, app, id, all);
      else await list(context, app, all);
    });
}

function parseNumber(text: string): number {
  return parseInteger(text, "-n", 1, NUMBER_MAX);
}

async function buildOnly(
  context: Context,
  path: string | undefined,
  flags: BuildCommandFlags,
): Promise<void> {
  const { shown, name, build } = await findCode(context, path, flags);
  const { err } = context;
  const client = await context.connect(flags);
  const built = await build(client, () => {
    err.line(`Building ${printable(shown)} for ${err.paint("bold", name.app)} (${name.from})`);
  });
  sayBuilt(context, built);
  context.err.line(`Build ${built.id}. Release it: dinp push --build ${built.id} --app ${name.app}`);
  context.out.line(flags.json === true ? toJson(built, 2) : printable(built.image ?? ""));
}

async function list(context: Context, app: string | undefined, flags: BuildsFlags): Promise<void> {
  if (flags.log === true) throw usageError("--log is of one build.", "Write: dinp builds APP ID --log");
  const client = await context.connect(flags);
  const items = await newest(context, client, { app, state: flags.state }, flags.number);
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line(`There are no such builds. Make one: dinp build DIR --app ${app ?? "NAME"}`);
    return;
  }
  const now = context.now();
  const rows = items.map((item): Cell[] => [
    item.id,
    item.app,
    { text: item.state, color: stateColors[item.state] },
    formatAgo(item.createdAt, now),
    item.createdBy,
    item.digest === null ? "-" : shortDigest(item.digest),
    item.state === "failed" ? (item.error ?? "") : `${item.template}, ${formatBytes(item.bytes)}`,
  ]);
  const headers = ["BUILD", "APP", "STATE", "STARTED", "BY", "IMAGE", "WHAT"];
  const columns = headers.map((header) => ({ header }));
  printTable(context.out, columns, rows);
}

async function newest(
  context: Context,
  client: Client,
  query: { readonly app: string | undefined; readonly state: BuildView["state"] | undefined },
  wanted: number,
): Promise<readonly BuildView[]> {
  const items: BuildView[] = [];
  for (let cursor: string | undefined; items.length < wanted;) {
    const limit = Math.min(1_000, wanted - items.length);
    const page = await client.pageBuilds({ ...query, limit, cursor }, { signal: context.signal });
    items.push(...page.items);
    if (page.next === null) break;
    cursor = page.next;
  }
  return items;
}

async function show(context: Context, app: string, id: string, flags: BuildsFlags): Promise<void> {
  const client = await context.connect(flags);
  const { signal } = context;
  const found = await findBuild(context, client, app, id);
  const log = flags.log === true ? await client.getBuildLog(app, found.id, { signal }) : null;
  if (flags.json === true) {
    context.out.line(toJson(log ?? found, 2));
    return;
  }
  for (const line of log?.lines ?? buildLines(context, found)) context.out.line(printable(line));
  if (log?.lines.length === 0) context.err.line(`The build ${found.id} has no log (${found.state}).`);
}

async function findBuild(context: Context, client: Client, app: string, id: string): Promise<BuildView> {
  const items = await newest(context, client, { app, state: undefined }, 1_000);
  const matching = items.filter((item) => item.id === id || item.id.startsWith(id));
  const [only, ...others] = matching;
  if (only !== undefined && others.length === 0) return only;
  if (only === undefined) return client.getBuild(app, id, { signal: context.signal });
  throw usageError(
    `${count(matching.length, "build")} of ${app} begin with "${printable(id)}".`,
    "Write more of its id.",
  );
}

function buildLines(context: Context, item: BuildView): string[] {
  const now = context.now();
  const took = item.endedAt === null ? "" : `, took ${formatDuration(item.endedAt - item.createdAt)}`;
  const rows: readonly (readonly [string, string | null])[] = [
    ["Build", `${item.id} of ${item.app}`],
    ["State", `${item.state}${item.error === null ? "" : `: ${item.error}`}`],
    ["Started", `${formatAgo(item.createdAt, now)} by ${item.createdBy}${took}`],
    ["From", item.source],
    ["Image", item.image],
    ["Tag", item.tag],
    ["Base", item.base],
    ["Template", item.template === "" ? null : item.template],
    ["Command", item.command.length === 0 ? null : formatCommand(item.command)],
    ["Files", item.image === null ? null : `${String(item.files)}, ${formatBytes(item.bytes)}`],
  ];
  return rows.flatMap(([name, value]) => (value === null ? [] : [`${name.padEnd(8)}  ${value}`]));
}
