import { setTimeout as delay } from "node:timers/promises";
import { DinpError, type Clock } from "@dinp/core";

/** The longest wait of one Node timer; longer sleeps are made of several. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's clock. A pending `sleep` keeps the process alive; waits below 1 ms become 1 ms. */
export function createSystemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep,
  };
}

async function sleep(ms: number, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
  if (Number.isNaN(ms)) throw new TypeError("sleep needs a number of milliseconds, not NaN.");
  const { signal } = options;
  const until = performance.now() + ms;
  let left = ms;
  do {
    try {
      await delay(Math.min(left, TIMER_MS_MAX), undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      throw new DinpError("DINP_ABORTED", "The wait was aborted.", { cause: error });
    }
    left = until - performance.now();
  } while (left > 1);
}
