import { isDinpError } from "@dinp/core";
import type { AppDetail, Client, ReleaseView, RolloutView } from "@dinp/core/client";
import type { Context } from "./context.js";
import { CliError, exitCodes } from "./exit-codes.js";
import { failureHints } from "./failure-hints.js";
import { RolloutDisplay } from "./rollout-display.js";
import { count, formatDuration, printable } from "./text.js";
import { awaitAnswer } from "./await-answer.js";
import {
  isRefusal,
  Outage,
  startWaiting,
  StuckWatch,
  tally,
  throwIfEnded,
  timeOver,
  throwIfInterrupted,
  type Waiting,
} from "./wait-guards.js";

const POLL_MS = 250;
const NOTICE_MS = 2_000;
const LOG_TAIL_MS = 5_000;
const LOG_TAIL_LINES = 20;

/** Waits for a release until it answers through the router, and prints the app's URL; a {@link CliError} says why it does not. */
export async function awaitRelease(
  context: Context,
  client: Client,
  app: string,
  options: { readonly release: ReleaseView; readonly timeoutMs: number; readonly isJson: boolean },
): Promise<void> {
  const { release, ...rest } = options;
  const operation = `the rollout of release ${String(release.number)} of ${app}`;
  const waiting = startWaiting(context, client, app, { ...rest, operation });
  const startedAt = context.now();
  const before = await client.getApp(app, { signal: context.signal });
  if (before.desired === "stopped") {
    context.err.line(
      `${app} is stopped. Release ${String(release.number)} runs when it starts: dinp start ${app}`,
    );
    return;
  }
  const rollout = await awaitRollout(waiting, release.number);
  if (rollout.state === "failed") throw await rolloutFailure(waiting, rollout);
  if (rollout.state === "superseded") {
    throw new CliError(
      exitCodes.failed,
      `Release ${String(release.number)} of ${app} was superseded by a newer release before it was complete.`,
      { hints: [`"dinp releases ${app}" shows which.`] },
    );
  }
  const seconds = formatDuration(context.now() - startedAt);
  context.err.line(
    context.err.paint(
      "green",
      `Release ${String(release.number)} of ${app} is complete: ${tally(rollout.ready, rollout.wanted)}, in ${seconds}`,
    ),
  );
  await awaitAnswer(waiting, before.urls);
}

/** Follows a rollout to its end; gives up sooner when the platform keeps refusing to place its instances. */
async function awaitRollout(waiting: Waiting, number: number): Promise<RolloutView> {
  const { context } = waiting;
  const display = new RolloutDisplay(context.err, { now: context.now });
  const over = new AbortController();
  const timer = setTimeout(
    () => {
      over.abort();
    },
    Math.max(0, waiting.deadline - context.now()),
  );
  const signal = AbortSignal.any([context.signal, over.signal]);
  const noticing = watchNotices(waiting, display, signal).finally(() => {
    over.abort();
  });
  try {
    const rollout = await followRollout(waiting, number, display, signal);
    if (rollout !== null) return rollout;
    throwIfInterrupted(waiting);
    throw (await noticing) ?? timeOver(waiting);
  } finally {
    clearTimeout(timer);
    over.abort();
    await noticing;
    display.end();
  }
}

/** The rollout's end; null when the signal aborted before it. */
async function followRollout(
  waiting: Waiting,
  number: number,
  display: RolloutDisplay,
  signal: AbortSignal,
): Promise<RolloutView | null> {
  const { context, client, app } = waiting;
  const outage = new Outage(waiting);
  while (!signal.aborted) {
    try {
      for await (const view of client.followRollout(app, number, { signal })) {
        outage.over();
        display.update(view);
        if (view.state !== "pending" && view.state !== "running") return view;
      }
    } catch (error) {
      outage.note(error);
      display.note("Lost the connection to the API; trying again");
    }
    await context.pause(POLL_MS, signal);
  }
  return null;
}

/** Shows what keeps instances from being placed, until the signal aborts (then null) or it is time to give up. Never rejects. */
async function watchNotices(
  waiting: Waiting,
  display: RolloutDisplay,
  signal: AbortSignal,
): Promise<CliError | null> {
  const { context, client, app } = waiting;
  const stuck = new StuckWatch(context.now, { upOnCrash: false });
  for (;;) {
    await context.pause(NOTICE_MS, signal);
    if (signal.aborted) return null;
    const detail = await client.getApp(app, { signal }).catch(() => null);
    if (detail === null) continue;
    display.notice(detail.notices.find(isRefusal) ?? "");
    const failure = stuck.look(detail);
    if (failure !== null) return failure;
  }
}

/**
 * Polls the app until `isDone`; the account says how far it is. Fails when `isOvertaken`: someone has asked for something
 * else since, and this will not come.
 */
export async function awaitApp(
  waiting: Waiting,
  isDone: (detail: AppDetail) => boolean,
  isOvertaken: (detail: AppDetail) => boolean,
): Promise<AppDetail> {
  const { context, client, app } = waiting;
  const { err } = context;
  const outage = new Outage(waiting);
  const since = context.now();
  const stuck = new StuckWatch(context.now, { upOnCrash: true });
  let told = "";
  try {
    for (;;) {
      try {
        const detail = await client.getApp(app, { signal: context.signal });
        outage.over();
        if (isDone(detail)) return detail;
        if (isOvertaken(detail)) throw overtaken(waiting, detail);
        const text = progressOf(detail);
        if (err.isTty)
          err.live([{ text: `${text}, ${formatDuration(context.now() - since)}`, color: "bold" }]);
        else if (text !== told) err.line(text);
        told = text;
        const failure = stuck.look(detail);
        if (failure !== null) throw failure;
      } catch (error) {
        outage.note(error);
      }
      throwIfEnded(waiting);
      await context.pause(POLL_MS);
    }
  } finally {
    err.clearLive();
  }
}

function overtaken({ app, operation }: Waiting, detail: AppDetail): CliError {
  const wish =
    detail.desired === "stopped" ? "to be stopped" : `to run ${count(detail.instances, "instance")}`;
  return new CliError(exitCodes.failed, `Gave up ${operation}: meanwhile someone asked for ${app} ${wish}.`, {
    hints: [`See who: dinp events ${app}`],
  });
}

function progressOf(detail: AppDetail): string {
  const isGoing = detail.desired === "stopped" || detail.state === "deleting";
  const left = detail.instanceList.length;
  if (isGoing)
    return `${detail.name} is ${detail.state}: ${left === 0 ? "no instance" : count(left, "instance")} left`;
  return `${detail.name} is ${detail.state}: ${tally(detail.ready, detail.instances)}`;
}

/** Waits until the app is gone from the API. */
export async function awaitGone(waiting: Waiting): Promise<void> {
  try {
    // Not being deleted any more: a new app has the name already.
    await awaitApp(
      waiting,
      (now) => now.state !== "deleting",
      () => false,
    );
  } catch (error) {
    if (!isDinpError(error, "DINP_NOT_FOUND")) throw error;
  }
}

async function rolloutFailure(waiting: Waiting, rollout: RolloutView): Promise<CliError> {
  const { context, client, app } = waiting;
  const log = rollout.logTail.length > 0 ? rollout.logTail : await lastLines(waiting, rollout);
  printLogTail(context, log);
  const release = `Release ${String(rollout.number)} of ${app}`;
  const hints = [
    ...failureHints(app, rollout, log),
    `"dinp logs ${app}" shows more; mend the app and push again.`,
  ];
  const detail = await client.getApp(app, { signal: context.signal }).catch(() => null);
  const serving = detail?.instanceList.find(
    (instance) => instance.ready && instance.release !== rollout.number,
  );
  if (serving !== undefined) {
    hints.push(
      `Release ${String(serving.release)} still serves ${app}; "dinp rollback ${app} ${String(serving.release)}" makes that final.`,
    );
  }
  const reason = rollout.reason === "" ? "no reason was given" : printable(rollout.reason);
  return new CliError(exitCodes.failed, `${release} failed: ${reason}`, { hints });
}

/** What the release's instances that were started wrote last: for a rollout that failed before any of them ended. */
async function lastLines({ context, client, app }: Waiting, rollout: RolloutView): Promise<string[]> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(LOG_TAIL_MS)]);
  const started = rollout.instances.filter(({ phase }) => phase !== "pending" && phase !== "starting");
  const lines: string[] = [];
  for (const { id } of started) {
    try {
      const request = { tail: LOG_TAIL_LINES, instance: id };
      for await (const line of client.logs(app, request, { signal })) lines.push(line.text);
    } catch {
      // The reason of the failure is told in any case; the log is an extra.
    }
  }
  return lines.slice(-LOG_TAIL_LINES);
}

/** The last lines that an app wrote, each marked as its own. */
export function printLogTail(context: Context, lines: readonly string[]): void {
  if (lines.length === 0) {
    context.err.line("The app wrote nothing.");
    return;
  }
  context.err.line("The last lines of its log:");
  for (const line of lines) context.err.line(`  | ${printable(line)}`);
}
