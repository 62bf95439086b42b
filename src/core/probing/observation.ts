import type { AppId, HealthCheck } from "../model/records.js";
import type { ProbeResult } from "../ports/prober.js";
import type { MonitorPolicy } from "./monitor-policy.js";
import { applyProbe, initialProbeState, nextProbeAt, type ProbeState } from "./probe-state.js";

/** What a health monitor knows of one instance that its agent calls ready. Times are one monotonic clock's milliseconds. */
export interface Observation {
  readonly appId: AppId;
  /** Its `ready` is the monitor's verdict. */
  readonly probe: ProbeState;
  /** Of the last probe; null before the first. */
  readonly lastOutcome: ProbeResult["outcome"] | null;
  /** When the last probe that has ended was begun. */
  readonly lastBegunAt: number | null;
  /** When the first of the failures in a row ended; null while there is none. */
  readonly failingSince: number | null;
  /** What the last failure looked like; one sentence for people. */
  readonly lastFailure: string;
}

const FIRST_BYTES_SHOWN = 80;

/**
 * Of an instance that was not probed yet. `answers`: the verdict until probes say otherwise. `spread` in [0, 1) says where in
 * its interval it is, so that instances that come at once are not probed at once.
 */
export function initialObservation(
  { appId, answers }: { readonly appId: AppId; readonly answers: boolean },
  { now, intervalMs, spread }: { readonly now: number; readonly intervalMs: number; readonly spread: number },
): Observation {
  const probe = initialProbeState(now - spread * intervalMs);
  return {
    appId,
    probe: { ...probe, ready: answers, everReady: true },
    lastOutcome: null,
    lastBegunAt: null,
    failingSince: answers ? null : now,
    lastFailure: "",
  };
}

/** The observation after a probe. `unknown` results leave the verdict as it is. */
export function observe(
  observation: Observation,
  result: ProbeResult,
  { begunAt, endedAt }: { readonly begunAt: number; readonly endedAt: number },
  policy: MonitorPolicy,
): Observation {
  const probed = {
    ...observation,
    probe: applyProbe(observation.probe, result, policy, endedAt),
    lastOutcome: result.outcome,
    lastBegunAt: begunAt,
  };
  switch (result.outcome) {
    case "unknown":
      return probed;
    case "success":
      return { ...probed, failingSince: null };
    case "failure":
      return {
        ...probed,
        failingSince: observation.failingSince ?? endedAt,
        lastFailure: failureText(result),
      };
  }
}

/** How often a monitor probes an instance: as its release says, within the policy's bounds. */
export function monitorIntervalMs(check: Pick<HealthCheck, "intervalMs">, policy: MonitorPolicy): number {
  return Math.min(Math.max(check.intervalMs, policy.intervalMinMs), policy.intervalMaxMs);
}

/** When the next probe is due; see {@link nextProbeAt} for `jitter`. */
export function nextObservationAt({ probe }: Observation, intervalMs: number, jitter: number): number {
  return nextProbeAt(probe, { intervalMs }, jitter);
}

function failureText({
  reason,
  latencyMs,
  firstBytes,
}: ProbeResult & { readonly outcome: "failure" }): string {
  const body = firstBytes === "" ? "" : `, body ${JSON.stringify(firstBytes.slice(0, FIRST_BYTES_SHOWN))}`;
  return `${reason} after ${String(Math.round(latencyMs))} ms${body}`;
}
