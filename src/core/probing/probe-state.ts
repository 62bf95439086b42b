import type { HealthCheck } from "../model/records.js";
import type { ProbeResult } from "../ports/prober.js";

/**
 * What is known of one instance from its probes. Plain data; all times are one monotonic clock's milliseconds.
 */
export interface ProbeState {
  /** The verdict: whether the instance may get traffic. False until enough probes succeeded. */
  readonly ready: boolean;
  /** True once the verdict was ready at any time. */
  readonly everReady: boolean;
  /** Why the verdict is what it is; one sentence for people. */
  readonly reason: string;
  readonly consecutiveSuccesses: number;
  readonly consecutiveFailures: number;
  readonly startedAt: number;
  /** When the last probe ended, whatever came out of it; null before the first. */
  readonly lastProbeAt: number | null;
}

/** The part of a {@link HealthCheck} that scheduling and thresholds need. */
export type ProbeCheck = Pick<
  HealthCheck,
  "intervalMs" | "failureThreshold" | "successThreshold" | "startupMs"
>;

/**
 * Waits between the probes of an instance that was never ready, in milliseconds: an eighth of the time since its start, within these
 * bounds. So readiness is seen at most an eighth later than it was there, for some forty probes in the first five seconds.
 */
export const startupWaitsMs = Object.freeze({ share: 1 / 8, min: 10, max: 500 });

/** Share of a wait by which jitter moves it, to either side. */
const JITTER_SHARE = 0.1;

/** The state of an instance that was started at `startedAt` and not probed yet: not ready. */
export function initialProbeState(startedAt: number): ProbeState {
  return {
    ready: false,
    everReady: false,
    reason: "not probed yet",
    consecutiveSuccesses: 0,
    consecutiveFailures: 0,
    startedAt,
    lastProbeAt: null,
  };
}

/**
 * When the next probe is due, on the state's clock; may lie in the past (then it is due now).
 *
 * An instance that was never ready is probed as {@link startupWaitsMs} says, but never more seldom than `intervalMs`; after
 * that every `intervalMs`, ready or not. The wait counts from the end of the last probe (from the start, before the
 * first one), so probes of one instance never overlap. `jitter` in [0, 1) moves the wait by up to a tenth to either
 * side; 0.5 leaves it as it is. Give the same number for one wait, or the due time moves with each call.
 */
export function nextProbeAt(
  state: ProbeState,
  check: Pick<ProbeCheck, "intervalMs">,
  jitter: number,
): number {
  const since = state.lastProbeAt ?? state.startedAt;
  const waitMs = state.everReady
    ? check.intervalMs
    : Math.min(startupWaitMs(since - state.startedAt), check.intervalMs);
  return since + waitMs * (1 - JITTER_SHARE + 2 * JITTER_SHARE * jitter);
}

/**
 * The state after a probe that ended at `now`.
 *
 * `successThreshold` successes in a row make it ready, `failureThreshold` failures in a row make it not ready; until
 * then the verdict stays. An instance that was never ready is not ready whatever the thresholds. An `unknown` result
 * says nothing about the instance: verdict, reason and counts stay, only the schedule moves on.
 */
export function applyProbe(
  state: ProbeState,
  result: ProbeResult,
  check: Pick<ProbeCheck, "failureThreshold" | "successThreshold">,
  now: number,
): ProbeState {
  const probed = { ...state, lastProbeAt: now };
  switch (result.outcome) {
    case "unknown":
      return probed;
    case "success":
      return applySuccess(probed, check.successThreshold);
    case "failure":
      return applyFailure(probed, result.reason, check.failureThreshold);
  }
}

/** True when the instance was never ready and its time to become so (`startupMs` from its start) is over. */
export function isStartupOver(state: ProbeState, check: Pick<ProbeCheck, "startupMs">, now: number): boolean {
  return !state.everReady && now - state.startedAt >= check.startupMs;
}

function applySuccess(state: ProbeState, threshold: number): ProbeState {
  const successes = state.consecutiveSuccesses + 1;
  const ready = state.ready || successes >= threshold;
  return {
    ...state,
    ready,
    everReady: state.everReady || ready,
    consecutiveSuccesses: successes,
    consecutiveFailures: 0,
    reason: ready ? "ready" : `${String(successes)} of ${String(threshold)} probes in a row succeeded`,
  };
}

function applyFailure(state: ProbeState, why: string, threshold: number): ProbeState {
  const failures = state.consecutiveFailures + 1;
  const ready = state.ready && failures < threshold;
  const count = `${String(failures)} of ${String(threshold)} failed probes in a row`;
  return {
    ...state,
    ready,
    consecutiveSuccesses: 0,
    consecutiveFailures: failures,
    reason: ready ? `still ready: ${count}, last: ${why}` : why,
  };
}

function startupWaitMs(elapsedMs: number): number {
  const { share, min, max } = startupWaitsMs;
  return Math.min(Math.max(elapsedMs * share, min), max);
}
