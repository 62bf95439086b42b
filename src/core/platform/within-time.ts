import { DinpError } from "../model/errors.js";
import type { Clock } from "../ports/system.js";

export interface TimeLimit {
  readonly clock: Clock;
  readonly ms: number;
  /** For the error, such as `The build`. */
  readonly what: string;
  /** The caller's. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs work whose signal aborts with the caller's, or when the time is over. What fails afterwards becomes `DINP_TIMEOUT`; other
 * errors come out as they are. Work that does not heed its signal is waited for.
 */
export async function withinTime<T>(
  { clock, ms, what, signal }: TimeLimit,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const [over, late] = [new AbortController(), new AbortController()];
  const timer = clock.sleep(ms, { signal: over.signal }).then(
    () => {
      late.abort();
    },
    () => undefined,
  );
  try {
    return await work(AbortSignal.any(signal === undefined ? [late.signal] : [late.signal, signal]));
  } catch (error) {
    if (!late.signal.aborted) throw error;
    const seconds = String(Math.round(ms / 1000));
    throw new DinpError("DINP_TIMEOUT", `${what} took longer than ${seconds} s.`, { cause: error });
  } finally {
    over.abort();
    await timer;
  }
}
