import { isDinpError, limits } from "@dinp/core";
import type { AppDetail, AppView, ChangePlanRequest } from "@dinp/core/client";
import type { Command } from "commander";
import type { Context } from "../context.js";
import { CliError, exitCodes, usageError } from "../exit-codes.js";
import { readLine } from "../input.js";
import { parseInteger } from "../parse.js";
import { stepLines } from "../plan-steps.js";
import { count, toJson } from "../text.js";
import { awaitAnswer, awaitOffRouter } from "../await-answer.js";
import { startWaiting, tally } from "../wait-guards.js";
import { awaitApp, awaitGone } from "../waiting.js";
import {
  appArgument,
  defaultTimeoutMs,
  flagsOf,
  withWait,
  type Registration,
  type WaitFlags,
} from "./shared-options.js";

interface ChangeFlags extends WaitFlags {
  readonly dryRun?: boolean;
}

interface DeleteFlags extends ChangeFlags {
  readonly yes?: boolean;
  readonly confirm?: boolean;
}

/** `dinp scale`, `start`, `stop` and `delete`. */
export function registerLifecycle({ program, context }: Registration): void {
  withChange(program.command("scale"))
    .summary("set how many instances run")
    .description("Sets how many instances of an app run, and waits until that many are ready.")
    .argument(...appArgument())
    .argument("<instances>", "how many", (text: string) =>
      parseInteger(text, "The number of instances", 0, limits.instancesMax),
    )
    .action(async (app: string, instances: number, flags: ChangeFlags, command: Command) => {
      await scale(context, app, instances, flagsOf(flags, command));
    });
  withChange(program.command("start"))
    .summary("start a stopped app")
    .description("Starts a stopped app, and waits until it answers.")
    .argument(...appArgument())
    .action(async (app: string, flags: ChangeFlags, command: Command) => {
      await start(context, app, flagsOf(flags, command));
    });
  withChange(program.command("stop"))
    .summary("stop an app, keep its releases")
    .description("Takes an app off the router and stops its instances. Its releases and settings are kept.")
    .argument(...appArgument())
    .action(async (app: string, flags: ChangeFlags, command: Command) => {
      await stop(context, app, flagsOf(flags, command));
    });
  withChange(
    program
      .command("delete")
      .option("-y, --yes", "do not ask for the app's name")
      .option("--confirm", "delete even after many deletions in a short time"),
  )
    .summary("delete an app and its releases")
    .description(
      "Stops an app and deletes it with its releases, settings and domains. This cannot be undone.",
    )
    .argument(...appArgument())
    .action(async (app: string, flags: DeleteFlags, command: Command) => {
      await remove(context, app, flagsOf(flags, command));
    });
}

function withChange(command: Command): Command {
  return withWait(command).option("--dry-run", "only show what the platform would do first, and why");
}

/** What the change would set off; it is not made. */
async function showPlan(
  context: Context,
  app: string,
  request: ChangePlanRequest,
  flags: ChangeFlags,
): Promise<void> {
  const client = await context.connect(flags);
  const plan = await client.planChange(app, request, { signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson(plan, 2));
    return;
  }
  const lines = stepLines(plan);
  context.out.line(lines.length === 0 ? "Nothing would happen." : "The platform's first step:");
  for (const line of lines) context.out.line(line);
}

/**
 * True when as many instances are ready as are wanted, and no other is meant to run. After a failed rollout the platform
 * may go on trying its release beside the instances that serve: those are not waited for.
 */
function isAsWanted(detail: AppDetail): boolean {
  const meant = detail.instanceList.filter((instance) => instance.desired === "running");
  const ready = meant.filter((instance) => instance.ready);
  const isSettled = meant.length === detail.instances || detail.rollout?.state === "failed";
  return ready.length === detail.instances && isSettled;
}

async function scale(context: Context, app: string, instances: number, flags: ChangeFlags): Promise<void> {
  const { err, signal } = context;
  if (flags.dryRun === true) {
    await showPlan(context, app, { change: "scale", instances }, flags);
    return;
  }
  const client = await context.connect(flags);
  const view = await client.scaleApp(app, { instances }, { signal });
  if (view.desired === "stopped") {
    err.line(
      `${app} is stopped; it will have ${count(instances, "instance")} when it starts: dinp start ${app}`,
    );
    printUnwaited(context, flags, view);
    return;
  }
  err.line(`${app} is to have ${count(instances, "instance")}`);
  if (!flags.wait) {
    printUnwaited(context, flags, view);
    return;
  }
  const waiting = startWaiting(context, client, app, {
    timeoutMs: flags.timeout ?? defaultTimeoutMs,
    operation: `scaling ${app} to ${String(instances)}`,
  });
  const detail = await awaitApp(
    waiting,
    isAsWanted,
    (now) => now.desired === "stopped" || now.instances !== instances,
  );
  succeed(context, `${app} has ${tally(detail.ready, detail.instances)}`);
  if (flags.json === true) context.out.line(toJson(detail, 2));
}

async function start(context: Context, app: string, flags: ChangeFlags): Promise<void> {
  if (flags.dryRun === true) {
    await showPlan(context, app, { change: "start" }, flags);
    return;
  }
  const client = await context.connect(flags);
  const view = await client.startApp(app, { signal: context.signal });
  context.err.line(`${app} is to run with ${count(view.instances, "instance")}`);
  if (!flags.wait) {
    printUnwaited(context, flags, view);
    return;
  }
  const waiting = startWaiting(context, client, app, {
    timeoutMs: flags.timeout ?? defaultTimeoutMs,
    operation: `starting ${app}`,
    isJson: flags.json === true,
  });
  const detail = await awaitApp(waiting, isAsWanted, (now) => now.desired === "stopped");
  succeed(context, `${app} has started: ${tally(detail.ready, detail.instances)}`);
  if (detail.instances > 0) await awaitAnswer(waiting, detail.urls);
  if (flags.json === true) context.out.line(toJson(detail, 2));
}

async function stop(context: Context, app: string, flags: ChangeFlags): Promise<void> {
  if (flags.dryRun === true) {
    await showPlan(context, app, { change: "stop" }, flags);
    return;
  }
  const client = await context.connect(flags);
  const view = await client.stopApp(app, { signal: context.signal });
  context.err.line(`${app} is to stop`);
  if (!flags.wait) {
    printUnwaited(context, flags, view);
    return;
  }
  const waiting = startWaiting(context, client, app, {
    timeoutMs: flags.timeout ?? defaultTimeoutMs,
    operation: `stopping ${app}`,
  });
  const detail = await awaitApp(
    waiting,
    (now) => now.state === "stopped" && now.ready === 0,
    (now) => now.desired === "running" && now.state !== "deleting",
  );
  await offRouter(waiting, view);
  succeed(context, `${app} is stopped. Start it again: dinp start ${app}`);
  if (flags.json === true) context.out.line(toJson(detail, 2));
}

async function remove(context: Context, app: string, flags: DeleteFlags): Promise<void> {
  const { err, signal } = context;
  if (flags.dryRun === true) {
    await showPlan(context, app, { change: "delete" }, flags);
    return;
  }
  if (flags.yes !== true && context.options.stdin.isTTY !== true) {
    throw usageError(
      `Deleting ${app} needs --yes, because there is no terminal to ask on.`,
      `dinp delete ${app} --yes`,
    );
  }
  const client = await context.connect(flags);
  const view = await client.getApp(app, { signal });
  if (flags.yes !== true) await askForName(context, view);
  try {
    await client.deleteApp(app, { confirm: flags.confirm, signal });
  } catch (error) {
    if (!isDinpError(error, "DINP_CONFIRMATION_REQUIRED")) throw error;
    throw new CliError(exitCodes.failed, error.message, {
      hints: [`If you mean it: dinp delete ${app} --yes --confirm`],
      cause: error,
    });
  }
  err.line(`${app} is being deleted`);
  if (!flags.wait) return;
  const waiting = startWaiting(context, client, app, {
    timeoutMs: flags.timeout ?? defaultTimeoutMs,
    operation: `deleting ${app}`,
  });
  await awaitGone(waiting);
  await offRouter(waiting, view);
  succeed(context, `${app} is deleted`);
  if (flags.json === true) context.out.line(toJson({ deleted: true }, 2));
}

async function offRouter(waiting: Parameters<typeof awaitOffRouter>[0], view: AppView): Promise<void> {
  const url = view.urls[0];
  if (url !== undefined) await awaitOffRouter(waiting, url);
}

async function askForName(context: Context, app: AppDetail): Promise<void> {
  const has = `${count(app.instances, "instance")}${app.release === null ? "" : `, release ${String(app.release)}`}`;
  context.err.line(`This deletes ${app.name} (${has}) with its releases and settings. It cannot be undone.`);
  context.err.raw("Type its name to go on: ");
  const answer = await readLine(context.options.stdin, { hidden: false, signal: context.signal });
  if (answer.trim() === app.name) return;
  throw new CliError(exitCodes.failed, `That is not its name, so ${app.name} was not deleted.`);
}

function printUnwaited(context: Context, flags: WaitFlags, view: AppView): void {
  if (flags.json === true) context.out.line(toJson(view, 2));
}

function succeed(context: Context, text: string): void {
  context.err.line(context.err.paint("green", text));
}
