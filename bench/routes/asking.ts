import { median, percentile, type Recorder } from "../lib/bench.js";
import { HttpPoll } from "./http-poll.js";

/** From an instance that is ready to the answer of a router. */
export const GOAL_MS = 50;
/** Between two questions to one router: what the measurement adds to what it measures. */
export const POLL_MS = 5;
/** Whoever asks sooner takes processor time from what is measured; what comes sooner counts as late as this. */
export const FIRST_ASKED_MS = 10;
/**
 * Routers that are asked again and again for one change, in turn; divides the number of all. Asking takes a router as long as the
 * change does, and all share this machine's processors. The others take the change as well.
 */
export const ASKED = 4;
/** When the first of all routers is asked its one question, and between one of them and the next. */
const ALL_ASKED_FROM_MS = 35;
const ALL_ASKED_EVERY_MS = 0.5;
export const CHANGE_EVERY_MS = 200;
const LATEST_MS = 10_000;

interface Asked {
  readonly port: number;
}

/**
 * Asks some of the routers for each change, until they answer 200. `next` makes a change and gives the host that it is about.
 * Gives the 99th percentile in milliseconds.
 */
export async function measureSome(
  recorder: Recorder,
  routers: readonly Asked[],
  next: () => string,
  changes: number,
): Promise<number> {
  const polls = await connected(routers);
  const latencies: number[] = [];
  for (let change = 0; change < changes; change += 1) {
    const first = (change * ASKED) % polls.length;
    const start = performance.now();
    const host = next();
    const answered = polls.slice(first, first + ASKED).map(async (poll, index) => {
      await pause(FIRST_ASKED_MS + (POLL_MS * index) / ASKED);
      return await untilAnswered(poll, host, start);
    });
    latencies.push(...(await Promise.all(answered)));
    await pause(CHANGE_EVERY_MS);
  }
  for (const poll of polls) poll.close();
  const p99Ms = percentile(latencies, 0.99);
  recorder.measure("from the report to the answer, p99", p99Ms, "ms");
  recorder.measure("from the report to the answer, median", median(latencies), "ms");
  return p99Ms;
}

/** Asks every router once for each change, and counts who answers 200 in time. */
export async function measureAll(
  recorder: Recorder,
  routers: readonly Asked[],
  next: () => string,
  changes: number,
): Promise<void> {
  const polls = await connected(routers);
  let inTime = 0;
  for (let change = 0; change < changes; change += 1) {
    const start = performance.now();
    const host = next();
    const answered = polls.map(async (poll, index) => {
      await pause(ALL_ASKED_FROM_MS + index * ALL_ASKED_EVERY_MS);
      const status = await poll.ask(host);
      return status === 200 && performance.now() - start <= GOAL_MS;
    });
    inTime += (await Promise.all(answered)).filter(Boolean).length;
    await pause(CHANGE_EVERY_MS);
  }
  for (const poll of polls) poll.close();
  recorder.measure(
    `all routers asked: answers within ${String(GOAL_MS)} ms`,
    (100 * inTime) / (changes * polls.length),
    "%",
  );
}

/** A connection costs more than all questions over it. */
async function connected(routers: readonly Asked[]): Promise<readonly HttpPoll[]> {
  const polls = routers.map(({ port }) => new HttpPoll(port));
  await Promise.all(polls.map((poll) => poll.ask("nobody.apps.test")));
  return polls;
}

/** Milliseconds from `start` until the router answers 200 for the host. */
async function untilAnswered(poll: HttpPoll, host: string, start: number): Promise<number> {
  for (;;) {
    if ((await poll.ask(host)) === 200) return performance.now() - start;
    await pause(POLL_MS);
    if (performance.now() - start > LATEST_MS) throw new Error(`No router answers for ${host} in time.`);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
