import { DinpError } from "@dinp/core";

/** The promise's outcome, or `DINP_ABORTED` when the signal aborts first; what was begun goes on. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  // Whoever does not wait any more is not told of a failure.
  promise.catch(() => undefined);
  throwIfAborted(signal);
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(abortedError(signal));
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Throws `DINP_ABORTED` when the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal);
}

/** Whether it has aborted by now: the compiler takes what it saw of `signal.aborted` before a wait to hold after it. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function abortedError(signal: AbortSignal): DinpError {
  return new DinpError("DINP_ABORTED", "The caller aborted the call.", { cause: signal.reason });
}
