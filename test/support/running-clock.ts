import { setTimeout as delay } from "node:timers/promises";
import { DinpError, type Clock } from "@dinp/core";

/** What passes between two looks at most: whatever is beyond it, this process stood still. */
const STEP_MS_MAX = 50;

/** A wait is made of looks that are this far apart, so that all of it counts where the process goes on. */
const LOOK_MS = 20;

/**
 * A clock whose time passes only as this process gets to run: where a busy machine lets it stand still, nothing runs out
 * meanwhile, no lease, no grace and no bound.
 */
export function createRunningClock(): Clock {
  const startedAt = Date.now();
  let passedMs = 0;
  let lookedAt = performance.now();
  const monotonicMs = (): number => {
    const at = performance.now();
    passedMs += Math.min(at - lookedAt, STEP_MS_MAX);
    lookedAt = at;
    return passedMs;
  };
  return {
    now: () => startedAt + Math.floor(monotonicMs()),
    monotonicMs,
    sleep: async (ms, { signal } = {}) => {
      const until = monotonicMs() + ms;
      let left = ms;
      do {
        try {
          await delay(Math.min(left, LOOK_MS), undefined, signal === undefined ? {} : { signal });
        } catch (error) {
          throw new DinpError("DINP_ABORTED", "The wait was aborted.", { cause: error });
        }
        left = until - monotonicMs();
      } while (left > 0);
    },
  };
}
