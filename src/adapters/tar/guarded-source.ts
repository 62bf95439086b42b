import { DinpError, type ByteStream } from "@dinp/core";

/**
 * A stream of the caller's, read once, whose wait for the next piece ends with the signal or with {@link stop} even
 * when the stream itself hangs. It remembers the stream's own failure, so that this is not taken for a damaged archive.
 */
export class GuardedSource implements AsyncIterable<Uint8Array> {
  readonly #bytes: ByteStream;
  readonly #signal: AbortSignal | undefined;
  #failure: { readonly error: unknown } | null = null;
  #stopped = false;
  #endWait: (() => void) | null = null;

  constructor(bytes: ByteStream, signal: AbortSignal | undefined) {
    this.#bytes = bytes;
    this.#signal = signal;
  }

  /** What the stream (or the signal) failed with. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  /** Ends the iteration; a pending wait ends at once. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#endWait?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = this.#bytes[Symbol.asyncIterator]();
    const onAbort = (): void => {
      this.#endWait?.();
    };
    this.#signal?.addEventListener("abort", onAbort);
    let ended = false;
    try {
      for (;;) {
        const piece = await this.#next(iterator);
        if (piece === null) {
          ended = !this.#stopped;
          return;
        }
        if (piece.length > 0) yield piece;
      }
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    } finally {
      this.#signal?.removeEventListener("abort", onAbort);
      // Not awaited: a stream that hangs in `next` would hold its reader here.
      if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }

  async #next(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array | null> {
    this.#throwIfAborted();
    if (this.#isStopped()) return null;
    const interrupted = new Promise<null>((resolve) => {
      this.#endWait = () => {
        resolve(null);
      };
    });
    const result = await Promise.race([iterator.next(), interrupted]);
    this.#endWait = null;
    this.#throwIfAborted();
    return result === null || result.done === true || this.#isStopped() ? null : result.value;
  }

  #isStopped(): boolean {
    return this.#stopped;
  }

  #throwIfAborted(): void {
    if (this.#signal?.aborted === true)
      throw new DinpError("DINP_ABORTED", "Reading the archive was aborted.");
  }
}
