import { DinpError } from "../model/errors.js";
import type { ByteStream } from "../ports/registry.js";

/**
 * The pieces of a caller's stream, for adapters that read it: `DINP_ABORTED` (with this message) as soon as the signal
 * aborts, even while the stream hangs. A stream that is left before its end is told so, and not waited for.
 */
export async function* abortableStream(
  bytes: ByteStream,
  signal: AbortSignal | undefined,
  message = "The write was aborted.",
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = bytes[Symbol.asyncIterator]();
  let interrupt: () => void = () => undefined;
  const onAbort = (): void => {
    interrupt();
  };
  signal?.addEventListener("abort", onAbort);
  let ended = false;
  try {
    for (;;) {
      if (isAborted(signal)) throw new DinpError("DINP_ABORTED", message);
      const interrupted = new Promise<null>((resolve) => {
        interrupt = () => {
          resolve(null);
        };
      });
      const result = await Promise.race([iterator.next(), interrupted]);
      if (result === null || (isAborted(signal) && result.done !== true)) continue;
      if (result.done === true) {
        ended = true;
        return;
      }
      yield result.value;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    // Not awaited: a stream that hangs in `next` would hold its reader here.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** Asks anew: between two awaits the answer may change, which a narrowed property would hide. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
