import type { MonitorPolicy } from "./monitor-policy.js";
import type { Observation } from "./observation.js";

/** Whether a monitor may trust what it sees. Times are one monotonic clock's milliseconds. */
export interface MonitorSight {
  /** Since when it judges nobody, because most of its probes failed at once; null while it judges. */
  readonly suspendedSince: number | null;
  /** Since when no more than the policy's share has failed; null while it judges, and while more do. */
  readonly calmSince: number | null;
  /** Instances whose last probe did not succeed. */
  readonly failed: number;
  /** Instances that have been probed. */
  readonly known: number;
}

export const initialSight: MonitorSight = Object.freeze({
  suspendedSince: null,
  calmSince: null,
  failed: 0,
  known: 0,
});

/**
 * Looks at the last probe of every instance. What the prober could not even try counts as failed here: it says nothing about
 * the instance, and speaks against the monitor.
 */
export function lookAround(
  sight: MonitorSight,
  observations: Iterable<Observation>,
  now: number,
  policy: MonitorPolicy,
): MonitorSight {
  let [failed, known] = [0, 0];
  for (const { lastOutcome } of observations) {
    if (lastOutcome === null) continue;
    known += 1;
    if (lastOutcome !== "success") failed += 1;
  }
  if (failed > known * policy.failedShareMax)
    return { suspendedSince: sight.suspendedSince ?? now, calmSince: null, failed, known };
  if (sight.suspendedSince === null) return { ...initialSight, failed, known };
  const calmSince = sight.calmSince ?? now;
  const isOver = now - calmSince >= policy.calmMs;
  return isOver
    ? { ...initialSight, failed, known }
    : { suspendedSince: sight.suspendedSince, calmSince, failed, known };
}

/**
 * The time since which every instance that was probed at all has been probed anew: what began failing after it may be only
 * the first of many.
 */
export function lookedAroundSince(observations: Iterable<Observation>): number {
  let since = Number.POSITIVE_INFINITY;
  for (const { lastBegunAt } of observations) if (lastBegunAt !== null) since = Math.min(since, lastBegunAt);
  return since;
}
