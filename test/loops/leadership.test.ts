import { afterEach, beforeEach, expect, test } from "vitest";
import { type Clock, DinpError, type Lease, type StateStore } from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { lead } from "../../src/core/loops/leadership.js";
import { until } from "../adapters/support/until.js";
import { FaultyStore } from "./faulty-store.js";

const TTL_MS = 10_000;
const RENEWAL_MS = TTL_MS / 4;

/** Stands still until it is told to go on. */
class HandClock implements Clock {
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  #now = 0;

  /** How many sleep. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  now(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  sleep(ms: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(new DinpError("DINP_ABORTED", "The sleep was aborted."));
      };
      if (signal?.aborted === true) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.at > this.#now) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

const silent = (): void => undefined;
const logger = { debug: silent, info: silent, warn: silent, error: silent };

let clock: HandClock;
let store: StateStore;
let faulty: FaultyStore;
/** When each term that has ended was told to. */
let endedAt: number[];
let led: Lease[];
let ending: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  clock = new HandClock();
  store = createMemoryStateStore({ clock });
  faulty = new FaultyStore(store);
  await store.open();
  [endedAt, led] = [[], []];
  ending = new AbortController();
  const options = { store: faulty, clock, logger, name: "leader", holder: "one", ttlMs: TTL_MS };
  running = lead(options, ending.signal, async (lease, signal) => {
    led.push(lease);
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        resolve();
      });
    });
    endedAt.push(clock.monotonicMs());
  });
  await until(() => led.length === 1 && clock.sleeping === 2, "the beginning of a term");
});

afterEach(async () => {
  ending.abort();
  await running;
  await store.close();
});

/** The next renewal, and all that comes of it. */
async function renewal(): Promise<void> {
  clock.pass(RENEWAL_MS);
  await until(() => clock.sleeping === 2, "the pause after a renewal");
}

test("ends as soon as a renewal says that another one holds the lease, however long the last one would count", async () => {
  await renewal();
  const [lease] = led;
  if (lease !== undefined) await store.releaseLease(lease);
  await store.tryAcquireLease({ name: "leader", holder: "two", ttlMs: 10 * TTL_MS });
  clock.pass(RENEWAL_MS);
  await until(() => endedAt.length === 1, "the end of the term");
  expect(endedAt).toEqual([2 * RENEWAL_MS]);
});

test("goes on while the store does not answer renewals, for as long as the last one counts", async () => {
  await renewal();
  faulty.leasesDown = true;
  await renewal();
  await renewal();
  expect(endedAt).toEqual([]);
  clock.pass(RENEWAL_MS + 0.8 * TTL_MS - 3 * RENEWAL_MS);
  await until(() => endedAt.length === 1, "the end of the term");
  expect(endedAt).toEqual([RENEWAL_MS + 0.8 * TTL_MS]);
});

test("begins another term when the lease was another one's in between", async () => {
  const [lease] = led;
  if (lease !== undefined) await store.releaseLease(lease);
  const other = await store.tryAcquireLease({ name: "leader", holder: "two", ttlMs: TTL_MS });
  if (other !== null) await store.releaseLease(other);
  clock.pass(RENEWAL_MS);
  await until(() => endedAt.length === 1, "the end of the term");
  await until(() => {
    clock.pass(100);
    return led.length === 2;
  }, "another term");
  expect(led.map(({ epoch }) => epoch)).toEqual([1, 3]);
});
