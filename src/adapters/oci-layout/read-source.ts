import type { ByteStream } from "@dinp/core";
import { throwIfAborted } from "./errors.js";

/** The pieces of a caller's stream; a wait for the next one ends with `DINP_ABORTED` even when the stream hangs. */
export async function* abortable(
  bytes: ByteStream,
  signal: AbortSignal | undefined,
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
      throwIfAborted(signal);
      const interrupted = new Promise<null>((resolve) => {
        interrupt = () => {
          resolve(null);
        };
      });
      const result = await Promise.race([iterator.next(), interrupted]);
      if (result === null) continue;
      if (result.done === true) {
        ended = true;
        return;
      }
      yield result.value;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    // Not awaited: a stream that hangs in `next` would hold the registry here.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
