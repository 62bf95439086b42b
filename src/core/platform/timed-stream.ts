import { DinpError } from "../model/errors.js";
import type { ByteStream } from "../ports/registry.js";
import type { Clock } from "../ports/system.js";

export interface StreamBounds {
  readonly bytesMax: number;
  /** The longest wait for the next piece. */
  readonly idleMs: number;
}

/**
 * A caller's stream with bounds: `DINP_TOO_LARGE` beyond `bytesMax`, `DINP_TIMEOUT` when nothing comes for `idleMs`,
 * `DINP_ABORTED` when the signal aborts.
 */
export async function* boundedStream(
  bytes: ByteStream,
  bounds: StreamBounds,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = bytes[Symbol.asyncIterator]();
  let total = 0;
  let ended = false;
  try {
    for (;;) {
      const next = await withinIdleTime(iterator.next(), bounds.idleMs, clock, signal);
      if (next.done === true) {
        ended = true;
        return;
      }
      total += next.value.length;
      if (total > bounds.bytesMax) {
        throw new DinpError("DINP_TOO_LARGE", `The upload has more than ${String(bounds.bytesMax)} bytes.`, {
          hint: "Leave out what the app does not need to run.",
          details: { bytesMax: bounds.bytesMax },
        });
      }
      yield next.value;
    }
  } finally {
    // Not awaited: a stream that hangs would hold its reader here.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

async function withinIdleTime<T>(
  next: Promise<T>,
  idleMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  const timer = new AbortController();
  const cancel = (): void => {
    timer.abort();
  };
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  const idle = clock.sleep(idleMs, { signal: timer.signal }).then(
    () => null,
    () => null,
  );
  try {
    const result = await Promise.race([next.then((value) => ({ value })), idle]);
    if (result !== null) return result.value;
    if (signal.aborted) throw new DinpError("DINP_ABORTED", "The build was aborted.");
    throw new DinpError("DINP_TIMEOUT", `The upload stopped: nothing came for ${String(idleMs / 1000)} s.`, {
      retryable: true,
      hint: "Push again.",
    });
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
