import { parseManifest } from "@dinp/core";
import type { PlanRequest, PlanView, PushPlanView } from "@dinp/core/client";
import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import { stepLines } from "../plan-steps.js";
import type { Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { parseCpuMillis, parseInteger, parseMemoryMb, parseVariables } from "../parse.js";
import { chooseAppName, findSource, readManifest } from "../push-source.js";
import {
  formatCommand,
  formatCpu,
  formatDuration,
  formatMemory,
  printable,
  shortDigest,
  toJson,
} from "../text.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

interface PlanFlags extends ReadFlags {
  readonly app?: string;
  readonly instances?: number;
  readonly memory?: number;
  readonly cpu?: number;
  readonly env?: readonly string[];
  readonly template?: string;
  readonly command?: string;
  readonly image?: string;
}

/** `dinp plan`. */
export function registerPlan({ program, context }: Registration): void {
  withRead(
    program
      .command("plan")
      .summary("show what a push would change, or what the platform is about to do")
      .description(
        "With a folder (or --app, or --image): what a push of it would change, and the platform's first step. Without: what\n" +
          "the platform is about to do now, and why. Nothing is written, built or uploaded.",
      )
      .argument("[source]", "a folder, or an archive of one")
      .option("--image <ref>", "an image, as for dinp push --image; goes with --app")
      .option("--app <name>", "name of the app", parseAppName)
      .option("--instances <n>", "how many to run", (text) => parseInteger(text, "--instances", 0, 1_000))
      .option("--memory <size>", "memory of each instance, such as 256M or 1G", parseMemoryMb)
      .option("--cpu <n>", "processors of each instance, such as 0.5 or 250m", parseCpuMillis)
      .option("--env <K=V>", "set an environment variable; may be repeated", collect)
      .option("--template <name>", "how to run it")
      .option("--command <line>", "the command that starts it"),
  ).action(async (source: string | undefined, flags: PlanFlags, command: Command) => {
    const all = flagsOf(flags, command);
    if (source === undefined && all.app === undefined && all.image === undefined)
      await showPresent(context, all);
    else await showPush(context, source, all);
  });
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

async function showPresent(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const plan = await client.presentPlan({ signal: context.signal });
  if (flags.json === true) context.out.line(toJson(plan, 2));
  else for (const line of presentLines(plan)) context.out.line(line);
}

function presentLines(plan: PlanView): string[] {
  const lines = plan.apps.flatMap((app) => [printable(app.app), ...stepLines(app)]);
  for (const { code, reason } of plan.refused) lines.push(`refused  ${printable(`${code}: ${reason}`)}`);
  if (lines.length === 0) lines.push("Nothing to do: all is as it should be.");
  if (!plan.fresh) lines.push("The view may be stale: nothing is stopped until it is read anew.");
  if (plan.wakeAt !== null)
    lines.push(`Looked at again in ${formatDuration(plan.wakeAt - plan.at)}, or when something changes.`);
  return lines;
}

async function showPush(context: Context, path: string | undefined, flags: PlanFlags): Promise<void> {
  const env = flags.env === undefined ? undefined : parseVariables(flags.env);
  if (flags.image !== undefined) assertImageAlone(path, flags);
  const source = path === undefined ? null : await findSource(path, context);
  const manifest = source?.kind === "directory" ? await readManifest(source.path, context) : null;
  if (manifest !== null) parseManifest(manifest);
  const app = source === null ? flags.app : (await chooseAppName(source, flags.app, context)).app;
  if (app === undefined) return;
  const client = await context.connect(flags);
  const request: PlanRequest = {
    ...(manifest === null ? {} : { manifest }),
    template: flags.template,
    image: flags.image,
    command: flags.command,
    instances: flags.instances,
    memoryMb: flags.memory,
    cpuMillis: flags.cpu,
    env,
  };
  const plan = await client.planPush(app, request, { signal: context.signal });
  if (flags.json === true) context.out.line(toJson(plan, 2));
  else for (const line of pushLines(plan)) context.out.line(line);
}

/** As for a push of an image. */
function assertImageAlone(path: string | undefined, { app, template }: PlanFlags): void {
  if (path !== undefined)
    throw usageError("--image goes without a folder or archive: the code is there already.");
  if (template !== undefined) throw usageError("--image goes without --template: nothing is built.");
  if (app === undefined) throw usageError("--image needs --app NAME.");
}

function pushLines(plan: PushPlanView): string[] {
  const release = plan.nextRelease === null ? "no new release of" : `release ${String(plan.nextRelease)} of`;
  const head = plan.exists ? `A push would make ${release} ${plan.app}` : `A push would create ${plan.app}`;
  const named = (sign: string, names: readonly string[]): string[] =>
    names.map((name) => `  ${sign} env ${printable(name)}`);
  return [
    printable(head),
    ...plan.changes.map(({ field, from, to }) =>
      from === null
        ? `  + ${labelOf(field)}: ${shown(field, to)}`
        : `  ~ ${labelOf(field)}: ${shown(field, from)} -> ${shown(field, to)}`,
    ),
    ...named("+", plan.env.added),
    ...named("-", plan.env.removed),
    ...named("~", plan.env.changed),
    ...plan.domains.map((host) => `  + domain ${printable(host)}`),
    ...plan.problems.map((problem) => `It would be refused: ${printable(problem)}`),
    "The platform's first step:",
    ...(plan.plan.actions.length + plan.plan.refused.length === 0 ? ["  none"] : stepLines(plan.plan)),
  ];
}

const labels: ReadonlyMap<string, string> = new Map([
  ["memoryMb", "memory"],
  ["cpuMillis", "cpu"],
  ["stopGraceMs", "stop grace"],
  ["drainMs", "drain"],
]);

function labelOf(field: string): string {
  return labels.get(field) ?? field;
}

function shown(field: string, value: string | null): string {
  if (value === null) return field === "image" ? "(built at the push)" : "(found out at the push)";
  switch (field) {
    case "image":
      return printable(shortDigest(value));
    case "memoryMb":
      return formatMemory(Number(value));
    case "cpuMillis":
      return formatCpu(Number(value));
    case "stopGraceMs":
    case "drainMs":
      return formatDuration(Number(value));
    case "command":
      return printable(shownCommand(value));
    case "check":
      return printable(shownCheck(value));
    default:
      return printable(value);
  }
}

/** A command comes as the JSON of its words. */
function shownCommand(json: string): string {
  const words: unknown = JSON.parse(json);
  return Array.isArray(words) ? formatCommand(words.map(String)) : json;
}

/** `http / 200-399 every 5.0 s, startup 60 s` */
function shownCheck(json: string): string {
  const check: unknown = JSON.parse(json);
  if (typeof check !== "object" || check === null) return json;
  const of = new Map<string, unknown>(Object.entries(check));
  const time = (name: string): string => formatDuration(Number(of.get(name)));
  const http =
    of.get("type") === "http"
      ? ` ${String(of.get("path"))} ${String(of.get("statusMin"))}-${String(of.get("statusMax"))}`
      : "";
  return `${String(of.get("type"))}${http} every ${time("intervalMs")}, within ${time("timeoutMs")}; startup ${time("startupMs")}`;
}
