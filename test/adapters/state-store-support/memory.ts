import type { StateStore } from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import type { StateStoreHarness } from "@dinp/core/testing";

const CHANGE_LOG_COMMITS = 40;

/** A clock that stands still until it is told to go on. */
export class ManualClock {
  #now = 0;

  monotonicMs(): number {
    return this.#now;
  }

  pass(ms: number): Promise<void> {
    this.#now += ms;
    return Promise.resolve();
  }
}

export async function memoryHarness(): Promise<StateStoreHarness> {
  const clock = new ManualClock();
  const unopened = (): StateStore => createMemoryStateStore({ clock, changeLogCommits: CHANGE_LOG_COMMITS });
  const store = unopened();
  await store.open();
  return {
    store,
    commitsToReset: 2 * CHANGE_LOG_COMMITS,
    time: { now: () => clock.monotonicMs(), pass: (ms) => clock.pass(ms) },
    unopened,
    reopen: null,
    outage: null,
    dispose: () => store.close(),
  };
}
