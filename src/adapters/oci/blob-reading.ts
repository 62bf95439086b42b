import { abortableStream, DinpError, type ByteStream } from "@dinp/core";
import { MarkedHash, type PrefixMarks } from "./prefix-marks.js";

/** One reading of a blob's source, hashed on the way and compared with the readings before it. */
export class BlobReading {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #repository: string;
  readonly #marks: PrefixMarks;
  readonly #hash: MarkedHash;
  readonly #stop: AbortController;
  readonly #ahead: Uint8Array[] = [];
  #aheadBytes = 0;
  #hasEnded = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(bytes: ByteStream, repository: string, marks: PrefixMarks, signal: AbortSignal) {
    this.#stop = new AbortController();
    this.#pieces = abortableStream(bytes, AbortSignal.any([signal, this.#stop.signal]));
    this.#repository = repository;
    this.#marks = marks;
    this.#hash = new MarkedHash(marks);
  }

  /** Bytes that were taken, or passed over. */
  get offset(): number {
    return this.#hash.size - this.#aheadBytes;
  }

  /** What the source failed with: no fault of the registry's. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  /** All bytes when they are at most `bytesMax`; else null, and they are still there to be taken. */
  async whole(bytesMax: number): Promise<Uint8Array | null> {
    while (this.#aheadBytes <= bytesMax) if (!(await this.#pull())) return Buffer.concat(this.#ahead);
    return null;
  }

  /** Whether there is more to take; waits until that is known. */
  async hasMore(): Promise<boolean> {
    return this.#aheadBytes > 0 || (await this.#pull());
  }

  /** The next bytes, at most `count`. */
  async *take(count: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let left = count; left > 0 && (await this.hasMore());) {
      const piece = this.#shift(left);
      left -= piece.length;
      yield piece;
    }
  }

  /** Passes over the next bytes. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0 && (await this.hasMore());) left -= this.#shift(left).length;
  }

  /** `sha256:…` of all that was read. */
  digest(): string {
    return this.#hash.digest();
  }

  /** Lets go of the source, for another reading. Idempotent. */
  leave(): void {
    if (this.#stop.signal.aborted) return;
    this.#marks.add(this.#hash);
    this.#stop.abort();
    // A stream that nobody has begun to read is let go of by this alone.
    void Promise.resolve(this.#pieces.return?.()).catch(() => undefined);
  }

  #shift(countMax: number): Uint8Array {
    const [piece = new Uint8Array(0)] = this.#ahead;
    const taken = piece.subarray(0, countMax);
    if (taken.length === piece.length) this.#ahead.shift();
    else this.#ahead[0] = piece.subarray(countMax);
    this.#aheadBytes -= taken.length;
    return taken;
  }

  /** Reads a piece ahead; false at the source's end. */
  async #pull(): Promise<boolean> {
    if (this.#hasEnded) return false;
    try {
      for (;;) {
        const next = await this.#pieces.next();
        if (next.done === true) break;
        if (!this.#hash.update(next.value)) throw this.#changed();
        if (next.value.length === 0) continue;
        this.#ahead.push(next.value);
        this.#aheadBytes += next.value.length;
        return true;
      }
      if (!this.#hash.isComplete) throw this.#changed();
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
    this.#hasEnded = true;
    return false;
  }

  #changed(): DinpError {
    const message = `A blob for ${this.#repository} was read again, and its source gave other bytes than before.`;
    return new DinpError("DINP_DIGEST_MISMATCH", message, {
      hint: "Write it again when nothing changes it any more.",
      details: { repository: this.#repository },
    });
  }
}
