import type { CrashRecord } from "../model/records.js";

/** The numbers that planning goes by. */
export interface PlanPolicy {
  /** Extra instances that a rollout may run: this share of the wanted number, at least one. */
  readonly surgeRatio: number;
  /** Failures of a release after which its rollout has failed. */
  readonly rolloutFailuresMax: number;
  /** A rollout that is not complete after this long has failed. */
  readonly rolloutDeadlineMs: number;
  /** Restarts after a failure that do not wait. */
  readonly crashFreeRestarts: number;
  /** The first wait; it doubles with every further failure up to `crashBackoffMaxMs`. */
  readonly crashBackoffMinMs: number;
  readonly crashBackoffMaxMs: number;
  /** An instance that was ready this long before it failed begins a new count. */
  readonly crashResetMs: number;
  /** A node that was silent for this long is lost: its instances are replaced elsewhere, nothing is stopped. */
  readonly lostAfterMs: number;
  /** A new leader calls no node lost for this long. */
  readonly leaderGraceMs: number;
  /**
   * A new leader that has not had every node's first full report places instances of older releases only after this
   * long (at most the grace time): what it misses may run there.
   */
  readonly firstReportMs: number;
  /** When more than this share of the nodes is silent, none is called lost: the fault is more likely here. */
  readonly silentShareMax: number;
  /** Inferred stops (orphans) in the whole cluster per window. */
  readonly inferredStopsMax: number;
  readonly inferredStopsWindowMs: number;
}

export const defaultPlanPolicy: PlanPolicy = Object.freeze({
  surgeRatio: 0.25,
  rolloutFailuresMax: 3,
  rolloutDeadlineMs: 600_000,
  crashFreeRestarts: 1,
  crashBackoffMinMs: 1_000,
  crashBackoffMaxMs: 300_000,
  crashResetMs: 60_000,
  lostAfterMs: 30_000,
  leaderGraceMs: 60_000,
  firstReportMs: 10_000,
  silentShareMax: 0.5,
  inferredStopsMax: 10,
  inferredStopsWindowMs: 600_000,
});

/** How long a release waits after its `failures`-th consecutive failure before its next start. */
export function crashBackoffMs(failures: number, policy: PlanPolicy): number {
  const waits = failures - policy.crashFreeRestarts;
  if (waits <= 0) return 0;
  return Math.min(policy.crashBackoffMaxMs, policy.crashBackoffMinMs * 2 ** Math.min(waits - 1, 30));
}

/** When the next instance of a release that failed may be started; null: now. */
export function nextStartAt(
  { failures, lastAt }: Pick<CrashRecord, "failures" | "lastAt">,
  now: number,
  policy: PlanPolicy,
): number | null {
  // The clock of an earlier leader was ahead: how long ago it was is not known, and that clock is not waited for.
  if (failures === 0 || lastAt > now) return null;
  const at = lastAt + crashBackoffMs(failures, policy);
  return at > now ? at : null;
}

/** How many instances a rollout to `wanted` may run beyond them. */
export function surgeOf(wanted: number, policy: PlanPolicy): number {
  return Math.max(1, Math.ceil(wanted * policy.surgeRatio));
}
