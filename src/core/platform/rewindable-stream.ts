import { DinpError } from "../model/errors.js";
import type { ByteStream } from "../ports/registry.js";
import type { Spool, SpooledBytes } from "../ports/spool.js";

const READ_BYTES = 256 * 1024;

/**
 * A stream that is read once, and can be read again from its beginning by the bytes that a spool keeps: a reading gives what
 * has passed, then goes on with the stream. One reading at a time; one that was left loses nothing, also when it waits.
 *
 * A spool that fails, on a full disk, does not harm the reading under way. Only another one fails then: `DINP_UNAVAILABLE`
 * (retryable). When the stream itself fails, so does every reading that gets there.
 */
export class RewindableStream {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #spool: Spool;
  /** Null until the first piece. */
  #kept: Promise<SpooledBytes> | null = null;
  #keeping: Promise<void> = Promise.resolve();
  #loss: { readonly error: unknown } | null = null;
  #passed = 0;
  #latest: Uint8Array = new Uint8Array(0);
  #pulling: Promise<boolean> | null = null;
  #isEnded = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(bytes: ByteStream, spool: Spool) {
    this.#pieces = bytes[Symbol.asyncIterator]();
    this.#spool = spool;
  }

  /** Whether all that has passed can still be read again. */
  get isWhole(): boolean {
    return this.#loss === null;
  }

  /** The bytes from the beginning. */
  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let offset = 0; ;) {
      if (offset < this.#passed) {
        const bytes = await this.#at(offset);
        offset += bytes.length;
        yield bytes;
      } else if (!(await this.#pull())) return;
    }
  }

  /** Lets go of the stream, unless it has ended, and of what was kept. Idempotent; never rejects. */
  async close(): Promise<void> {
    this.#loss ??= { error: new Error("The stream was closed.") };
    // Not awaited: a stream that hangs would hold its reader here.
    if (!this.#isEnded) void Promise.resolve(this.#pieces.return?.()).catch(() => undefined);
    this.#isEnded = true;
    await this.#keeping;
    await this.#kept?.then((kept) => kept.close()).catch(() => undefined);
  }

  /** Waits for the next piece, together with whoever waits for it already; false at the end. */
  #pull(): Promise<boolean> {
    this.#pulling ??= this.#take().finally(() => {
      this.#pulling = null;
    });
    // Whoever began to wait may have left.
    this.#pulling.catch(() => undefined);
    return this.#pulling;
  }

  async #take(): Promise<boolean> {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#isEnded) return false;
    const next = await this.#next();
    if (next.done === true) {
      this.#isEnded = true;
      return false;
    }
    // One piece is written while the next one is waited for.
    await this.#keeping;
    this.#latest = next.value;
    this.#passed += next.value.length;
    this.#keeping = this.#keep(next.value);
    return true;
  }

  /** A stream that failed says only once that it did. */
  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#pieces.next();
    } catch (error) {
      this.#failure = { error };
      this.#isEnded = true;
      throw error;
    }
  }

  /** Never rejects. */
  async #keep(bytes: Uint8Array): Promise<void> {
    if (this.#loss !== null) return;
    try {
      this.#kept ??= this.#spool.open();
      await (await this.#kept).append(bytes);
    } catch (error) {
      this.#loss ??= { error };
    }
  }

  async #at(offset: number): Promise<Uint8Array> {
    const latestAt = this.#passed - this.#latest.length;
    if (offset >= latestAt) return this.#latest.subarray(offset - latestAt);
    await this.#keeping;
    if (this.#loss !== null || this.#kept === null) throw lost(this.#loss?.error);
    try {
      return await (await this.#kept).read(offset, Math.min(READ_BYTES, latestAt - offset));
    } catch (error) {
      this.#loss ??= { error };
      throw lost(error);
    }
  }
}

function lost(cause: unknown): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The beginning of what was sent is gone, and is needed again.", {
    retryable: true,
    cause,
    hint: "Send it again; see whether the disk is full.",
  });
}
