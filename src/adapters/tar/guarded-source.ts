import { abortableStream, type ByteStream } from "@dinp/core";

/**
 * A stream of the caller's, read once, whose wait for the next piece ends with the signal or with {@link stop} even
 * when the stream itself hangs. It remembers the stream's own failure, so that this is not taken for a damaged archive.
 */
export class GuardedSource implements AsyncIterable<Uint8Array> {
  readonly #bytes: ByteStream;
  readonly #signal: AbortSignal | undefined;
  readonly #stopped = new AbortController();
  #failure: { readonly error: unknown } | null = null;

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
    this.#stopped.abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const stopped = this.#stopped.signal;
    const signal = this.#signal === undefined ? stopped : AbortSignal.any([this.#signal, stopped]);
    try {
      for await (const piece of abortableStream(this.#bytes, signal, "Reading the archive was aborted.")) {
        if (piece.length > 0) yield piece;
      }
    } catch (error) {
      if (stopped.aborted && this.#signal?.aborted !== true) return;
      this.#failure ??= { error };
      throw error;
    }
  }
}
