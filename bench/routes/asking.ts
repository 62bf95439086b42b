import { median, percentile, type Recorder } from "../lib/bench.js";
import { HttpPoll } from "./http-poll.js";

/** Between two questions to one router: what the measurement adds to what it measures. */
export const POLL_MS = 5;
/** Whoever asks sooner takes processor time from what is measured; what comes sooner counts as late as this. */
export const FIRST_ASKED_MS = 10;
/**
 * Routers that are asked for one change, in turn; divides the number of all. An answer takes a router, the app and this process three
 * times the processor time that the change takes the router, and all share this machine's processors. The others take the change as well.
 */
export const ASKED = 4;
export const CHANGE_EVERY_MS = 200;
const LATEST_MS = 10_000;

interface Asked {
  readonly port: number;
}

/**
 * Asks some of the routers for each change, until they answer 200. `next` makes a change and gives the host that it is about.
 * Gives the 99th percentile in milliseconds.
 */
export async function measureAnswers(
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
