import { isDinpError } from "@dinp/core";
import type { AppDetail, Client, ReleaseView, RolloutView } from "@dinp/core/client";
import type { Context } from "./context.js";
import { CliError, exitCodes } from "./exit-codes.js";
import { RolloutDisplay } from "./rollout-display.js";
import { dialRouter, type RouterAnswer } from "./router-dial.js";
import { count, formatDuration, printable } from "./text.js";

/** How long the API or the router may be out of reach while a command waits. */
const OUTAGE_MS = 30_000;
const DIAL_TIMEOUT_MS = 10_000;
const POLL_MS = 250;
const LOG_TAIL_MS = 5_000;
const LOG_TAIL_LINES = 20;
/** How long the platform may say that it cannot place an instance, without progress, before a command stops waiting. */
const REFUSED_MS = 15_000;

/** An operation on one app that a command waits for. */
export interface Waiting {
  readonly context: Context;
  readonly client: Client;
  readonly app: string;
  /** In terms of the context's `now`. */
  readonly deadline: number;
  readonly timeoutMs: number;
  /** What goes on when the user stops waiting, such as `the rollout of release 3`. */
  readonly operation: string;
}

/** A {@link Waiting} that ends `timeoutMs` from now. */
export function startWaiting(
  context: Context,
  client: Client,
  app: string,
  options: { readonly timeoutMs: number; readonly operation: string },
): Waiting {
  return { context, client, app, deadline: context.now() + options.timeoutMs, ...options };
}

/** Waits for a release until it answers through the router, and prints the app's URL; a {@link CliError} says why it does not. */
export async function awaitRelease(
  context: Context,
  client: Client,
  app: string,
  options: { readonly release: ReleaseView; readonly timeoutMs: number },
): Promise<void> {
  const { release } = options;
  const operation = `the rollout of release ${String(release.number)} of ${app}`;
  const waiting = startWaiting(context, client, app, { timeoutMs: options.timeoutMs, operation });
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

/** Follows a rollout to its end. */
async function awaitRollout(waiting: Waiting, number: number): Promise<RolloutView> {
  const { context, client, app } = waiting;
  const display = new RolloutDisplay(context.err, { now: context.now });
  const timeout = new AbortController();
  const timer = setTimeout(
    () => {
      timeout.abort();
    },
    Math.max(0, waiting.deadline - context.now()),
  );
  const signal = AbortSignal.any([context.signal, timeout.signal]);
  const outage = new Outage(waiting);
  try {
    for (;;) {
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
      throwIfEnded(waiting, signal);
      await context.pause(POLL_MS);
    }
  } finally {
    clearTimeout(timer);
    display.end();
  }
}

/** Polls the app until `isDone`; the account says how far it is. */
export async function awaitApp(waiting: Waiting, isDone: (detail: AppDetail) => boolean): Promise<AppDetail> {
  const { context, client, app } = waiting;
  const { err } = context;
  const outage = new Outage(waiting);
  const since = context.now();
  const stuck = new StuckWatch(context.now);
  let told = "";
  try {
    for (;;) {
      try {
        const detail = await client.getApp(app, { signal: context.signal });
        outage.over();
        if (isDone(detail)) return detail;
        const text = `${app} is ${detail.state}: ${tally(detail.ready, detail.instances)}`;
        if (err.isTty)
          err.live([{ text: `${text}, ${formatDuration(context.now() - since)}`, color: "bold" }]);
        else if (text !== told) err.line(text);
        told = text;
        if (detail.desired === "running" && detail.state !== "deleting") stuck.look(detail, since);
      } catch (error) {
        outage.note(error);
      }
      throwIfEnded(waiting, context.signal);
      await context.pause(POLL_MS);
    }
  } finally {
    err.clearLive();
  }
}

/** Waits until the app is gone from the API. */
export async function awaitGone(waiting: Waiting): Promise<void> {
  try {
    await awaitApp(waiting, () => false);
  } catch (error) {
    if (!isDinpError(error, "DINP_NOT_FOUND")) throw error;
  }
}

/** Dials the router until the app answers at its first URL, then prints its URLs. */
export async function awaitAnswer(waiting: Waiting, urls: readonly string[]): Promise<void> {
  const { context, app } = waiting;
  const [url, ...others] = urls;
  if (url === undefined) return;
  const { routerUrl } = await waiting.client.info({ signal: context.signal });
  const answer = await dialUntil(waiting, { routerUrl, url }, (last) => last.kind === "answered");
  if (answer.kind !== "answered") throw noAnswer(app, url, routerUrl, answer);
  if (answer.status >= 500) {
    context.err.line(
      context.err.paint("yellow", `Note: ${app} answers GET ${url} with status ${String(answer.status)}.`),
    );
  }
  for (const other of others) context.err.line(`also at ${printable(other)}`);
  context.out.line(printable(url));
}

/** Dials the router until the app is off it. A router out of reach is said, not an error: the app's instances are gone anyway. */
export async function awaitOffRouter(waiting: Waiting, url: string): Promise<void> {
  const { routerUrl } = await waiting.client.info({ signal: waiting.context.signal });
  const answer = await dialUntil(waiting, { routerUrl, url }, (last) => last.kind !== "answered");
  if (answer.kind === "unreachable") {
    waiting.context.err.line(`Note: the router at ${routerUrl} could not be asked (${answer.reason}).`);
  }
}

async function dialUntil(
  waiting: Waiting,
  target: { readonly routerUrl: string; readonly url: string },
  isDone: (answer: RouterAnswer) => boolean,
): Promise<RouterAnswer> {
  const { context } = waiting;
  const until = Math.min(waiting.deadline, context.now() + OUTAGE_MS);
  for (;;) {
    const answer = await dialRouter({ ...target, timeoutMs: DIAL_TIMEOUT_MS, signal: context.signal });
    throwIfInterrupted(waiting);
    if (isDone(answer) || context.now() >= until) return answer;
    await context.pause(POLL_MS);
  }
}

function noAnswer(
  app: string,
  url: string,
  routerUrl: string,
  answer: Exclude<RouterAnswer, { readonly kind: "answered" }>,
): CliError {
  if (answer.kind === "unreachable") {
    return new CliError(
      exitCodes.failed,
      `${app} runs, but the router at ${routerUrl} does not answer (${printable(answer.reason)}).`,
      { hints: ["If the router cannot be reached from this machine, use --no-wait."] },
    );
  }
  return new CliError(
    exitCodes.failed,
    `${app} runs, but the router does not lead to it yet (${printable(answer.code)} at ${url}).`,
    { hints: [`"dinp app ${app}" shows its instances, "dinp logs ${app}" what they write.`] },
  );
}

/** Tolerates an API that is away for a while; anything else goes through. */
class Outage {
  readonly #waiting: Waiting;
  #since: number | null = null;

  constructor(waiting: Waiting) {
    this.#waiting = waiting;
  }

  over(): void {
    this.#since = null;
  }

  note(error: unknown): void {
    const { context } = this.#waiting;
    throwIfInterrupted(this.#waiting);
    if (!isDinpError(error, "DINP_UNAVAILABLE") && !isDinpError(error, "DINP_TIMEOUT")) throw error;
    this.#since ??= context.now();
    if (context.now() - this.#since >= OUTAGE_MS) throw error;
  }
}

/** Gives up on an app that crashes, or that the platform cannot place, while nothing gets better. */
class StuckWatch {
  readonly #now: () => number;
  #ready = -1;
  #notices = "";
  #progressAt: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#progressAt = now();
  }

  look(detail: AppDetail, since: number): void {
    const notices = detail.notices.join("\n");
    if (detail.ready > this.#ready || notices !== this.#notices) this.#progressAt = this.#now();
    this.#ready = detail.ready;
    this.#notices = notices;
    if (detail.state === "crashing" && detail.lastCrash !== null && detail.lastCrash.at >= since) {
      throw new CliError(
        exitCodes.failed,
        `${detail.name} keeps failing to start: ${printable(detail.lastCrash.reason)}`,
        {
          hints: [
            `"dinp app ${detail.name}" and "dinp logs ${detail.name}" show why.`,
            "The platform goes on trying, ever more slowly.",
          ],
        },
      );
    }
    const notice = detail.notices[0];
    if (notice !== undefined && this.#now() - this.#progressAt >= REFUSED_MS) {
      throw new CliError(
        exitCodes.failed,
        `${detail.name} has ${tally(detail.ready, detail.instances)}: ${printable(notice)}`,
        { hints: [`The platform goes on trying; "dinp app ${detail.name}" shows how far it is.`] },
      );
    }
  }
}

function throwIfInterrupted({ context, app, operation }: Waiting): void {
  if (!context.signal.aborted) return;
  throw new CliError(exitCodes.interrupted, `Interrupted, but ${operation} goes on.`, {
    hints: [`"dinp app ${app}" shows how far it is.`],
  });
}

function throwIfEnded(waiting: Waiting, signal: AbortSignal): void {
  throwIfInterrupted(waiting);
  if (!signal.aborted && waiting.context.now() < waiting.deadline) return;
  throw new CliError(
    exitCodes.failed,
    `Not done after ${formatDuration(waiting.timeoutMs)}; ${waiting.operation} goes on.`,
    {
      hints: [
        `"dinp app ${waiting.app}" shows how far it is.`,
        "--timeout SECONDS waits longer, --no-wait does not wait.",
      ],
    },
  );
}

async function rolloutFailure(waiting: Waiting, rollout: RolloutView): Promise<CliError> {
  const { context, client, app } = waiting;
  printLogTail(context, rollout.logTail.length > 0 ? rollout.logTail : await lastLines(waiting));
  const release = `Release ${String(rollout.number)} of ${app}`;
  const hints = [`"dinp logs ${app}" shows more; mend the app and push again.`];
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

/** What the app's present instances wrote last: for a rollout that failed before any of them ended. */
async function lastLines({ context, client, app }: Waiting): Promise<string[]> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(LOG_TAIL_MS)]);
  const lines: string[] = [];
  try {
    for await (const line of client.logs(app, { tail: LOG_TAIL_LINES }, { signal })) lines.push(line.text);
  } catch {
    // The reason of the failure is told in any case; the log is an extra.
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

/** `1 of 2 instances ready`. */
export function tally(ready: number, wanted: number): string {
  return `${String(ready)} of ${count(wanted, "instance")} ready`;
}
