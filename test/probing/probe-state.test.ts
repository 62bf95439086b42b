import {
  applyProbe,
  defaultCheck,
  initialProbeState,
  isStartupOver,
  nextProbeAt,
  type ProbeResult,
  type ProbeState,
} from "@dinp/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const success: ProbeResult = { outcome: "success", latencyMs: 1, status: 200 };
const failure: ProbeResult = {
  outcome: "failure",
  latencyMs: 1,
  reason: "connection refused",
  firstBytes: "",
};
const unknown: ProbeResult = { outcome: "unknown", reason: "no file descriptors" };
const check = { ...defaultCheck, failureThreshold: 3, successThreshold: 2 };

function after(results: readonly ProbeResult[], from: ProbeState = initialProbeState(0)): ProbeState {
  return results.reduce((state, result, i) => applyProbe(state, result, check, i + 1), from);
}

describe("thresholds", () => {
  it("needs successes in a row to become ready", () => {
    expect(after([success]).ready).toBe(false);
    expect(after([success, failure, success]).ready).toBe(false);
    expect(after([failure, success, success])).toMatchObject({
      ready: true,
      everReady: true,
      reason: "ready",
    });
  });

  it("needs failures in a row to become not ready, and successes in a row to come back", () => {
    const ready = after([success, success]);
    expect(after([failure, failure, success, failure, failure], ready).ready).toBe(true);
    const lost = after([failure, failure, failure], ready);
    expect(lost).toMatchObject({ ready: false, everReady: true, reason: "connection refused" });
    expect(after([success], lost).ready).toBe(false);
    expect(after([success, success], lost).ready).toBe(true);
  });

  it("says why", () => {
    expect(initialProbeState(0).reason).toBe("not probed yet");
    expect(after([failure]).reason).toBe("connection refused");
    expect(after([success]).reason).toBe("1 of 2 probes in a row succeeded");
    expect(after([success, success, failure]).reason).toBe(
      "still ready: 1 of 3 failed probes in a row, last: connection refused",
    );
  });

  it("is changed by nothing unknown but its schedule", () => {
    const results = fc.array(fc.constantFrom(success, failure, unknown), { maxLength: 30 });
    fc.assert(
      fc.property(results, (all) => {
        const without = after(all.filter((each) => each !== unknown));
        const { ready, everReady, reason, consecutiveFailures, consecutiveSuccesses } = after(all);
        expect({ ready, everReady, reason, consecutiveFailures, consecutiveSuccesses }).toEqual({
          ready: without.ready,
          everReady: without.everReady,
          reason: without.reason,
          consecutiveFailures: without.consecutiveFailures,
          consecutiveSuccesses: without.consecutiveSuccesses,
        });
      }),
    );
  });
});

describe("schedule", () => {
  /** The times of the first probes when each takes no time. */
  function times(result: ProbeResult, count: number, intervalMs = check.intervalMs): number[] {
    let state = initialProbeState(1_000);
    return Array.from({ length: count }, () => {
      const at = nextProbeAt(state, { intervalMs }, 0.5);
      state = applyProbe(state, result, check, at);
      return at - 1_000;
    });
  }

  it("sees readiness at most an eighth late, or 10 ms, and goes on after unknown results", () => {
    const seen = times(failure, 60);
    expect(seen.slice(0, 4)).toEqual([10, 20, 30, 40]);
    expect(times(unknown, 60)).toEqual(seen);
    for (const [i, at] of seen.entries()) {
      const before = seen[i - 1] ?? 0;
      expect(at - before).toBeCloseTo(Math.min(Math.max(before / 8, 10), 500), 6);
    }
    expect(seen.filter((at) => at <= 5_000).length).toBeLessThan(45);
  });

  it("is never slower than the interval before it was ready", () => {
    expect(times(failure, 40, 60).at(-1)).toBe((times(failure, 39, 60).at(-1) ?? 0) + 60);
  });

  it("keeps to the interval once it was ready, even when it is ready no more", () => {
    const ready = after([success, success]);
    expect(nextProbeAt(ready, check, 0.5)).toBe(2 + check.intervalMs);
    expect(nextProbeAt(after([failure, failure, failure], ready), check, 0.5)).toBe(3 + check.intervalMs);
  });

  it("is moved by jitter by a tenth at most", () => {
    const ready = after([success, success]);
    expect(nextProbeAt(ready, { intervalMs: 1_000 }, 0)).toBe(902);
    expect(nextProbeAt(ready, { intervalMs: 1_000 }, 0.999_999)).toBeCloseTo(1_102, 2);
  });

  it("ends the start-up of what was never ready", () => {
    const state = after([failure], initialProbeState(100));
    expect(isStartupOver(state, { startupMs: 50 }, 149)).toBe(false);
    expect(isStartupOver(state, { startupMs: 50 }, 150)).toBe(true);
    expect(isStartupOver(after([success, success]), { startupMs: 50 }, 9_999)).toBe(false);
  });
});
