import { DinpError, type Prober, type ProbeResult, type ProbeTarget } from "@dinp/core";
import { type Asking, askHttp, askTcp, failure } from "./ask.js";
import { Slots } from "./slots.js";

export interface HttpProberOptions {
  /** Probes at the same time; further ones wait, at most for their own `timeoutMs`. Default 64. */
  readonly maxConcurrent?: number;
}

/** A timer that fires this much too late tells of a stalled process rather than of a slow instance. */
const STALL_MS = 250;

/**
 * A prober on `node:http` and `node:net`: one fresh connection for each probe, closed before the result is given.
 *
 * `timeoutMs` bounds the whole probe, from connecting to the answer's head, and does not include waiting for a turn. It
 * says `unknown` when this machine could not try (no file descriptors, no memory, no local port), when its turn did not
 * come within `timeoutMs`, and when the process itself stood still past the time-out. Redirects are answers like others.
 * `TypeError` for a path with characters that a request cannot carry, or a time-out that is not above 0.
 */
export function createHttpProber(options: HttpProberOptions = {}): Prober {
  const slots = new Slots(options.maxConcurrent ?? 64);
  return {
    probe: async (target, { timeoutMs, signal }) => {
      assertProbe(target, timeoutMs);
      throwIfAborted(signal);
      if (!(await slots.take(timeoutMs, signal))) {
        throwIfAborted(signal);
        return { outcome: "unknown", reason: "the prober is busy: too many probes at the same time" };
      }
      try {
        return await probeOnce(target, timeoutMs, signal);
      } finally {
        slots.give();
      }
    },
  };
}

function probeOnce(target: ProbeTarget, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let asking: Asking | null = null;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      asking?.cancel();
    };
    const settle = (result: ProbeResult): void => {
      end();
      resolve(result);
    };
    const abort = (): void => {
      end();
      reject(aborted());
    };
    const timer = setTimeout(() => {
      const lateMs = performance.now() - startedAt - timeoutMs;
      if (lateMs < STALL_MS) settle(failure(startedAt, `no answer within ${String(timeoutMs)} ms`, ""));
      // An answer may lie unread: one turn of the event loop reads it before the stall is reported.
      else setTimeout(settle, 10, stalled(lateMs));
    }, timeoutMs);
    signal.addEventListener("abort", abort, { once: true });
    asking =
      target.check.type === "http" ? askHttp(target, startedAt, settle) : askTcp(target, startedAt, settle);
  });
}

function stalled(lateMs: number): ProbeResult {
  return { outcome: "unknown", reason: `the prober itself stood still for ${String(Math.round(lateMs))} ms` };
}

function assertProbe({ check }: ProbeTarget, timeoutMs: number): void {
  if (!(timeoutMs > 0)) throw new TypeError(`A probe needs a time-out above 0 ms, not ${String(timeoutMs)}.`);
  if (check.type === "http" && !/^\/[!-~]*$/.test(check.path)) {
    throw new TypeError(
      `A probe's path begins with '/' and is printable ASCII: ${JSON.stringify(check.path)}.`,
    );
  }
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw aborted();
}

function aborted(): DinpError {
  return new DinpError("DINP_ABORTED", "The probe was aborted.");
}
