import { Buffer } from "node:buffer";
import type { ByteStream } from "@dinp/core";

/**
 * Reads a stream piece by piece as its reader asks for it. What lies in the piece at hand is given at once and without a
 * copy; only what goes beyond it is waited for. One call at a time, besides {@link ByteReader.close}.
 */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Buffer = Buffer.alloc(0);
  #offset = 0;

  constructor(bytes: ByteStream) {
    this.#pieces = bytes[Symbol.asyncIterator]();
  }

  /** The next `count` bytes when they are at hand, else null. */
  take(count: number): Buffer | null {
    const taken = this.peek(count);
    if (taken !== null) this.#offset += count;
    return taken;
  }

  /** What {@link ByteReader.take} would give. */
  peek(count: number): Buffer | null {
    const end = this.#offset + count;
    return end > this.#piece.length ? null : this.#piece.subarray(this.#offset, end);
  }

  /** Passes over the next `count` bytes when they are at hand; else false. */
  pass(count: number): boolean {
    const end = this.#offset + count;
    if (end > this.#piece.length) return false;
    this.#offset = end;
    return true;
  }

  /** What is at hand, at most `countMax` bytes; null when there is nothing. */
  takeSome(countMax: number): Buffer | null {
    const left = this.#piece.length - this.#offset;
    return left === 0 ? null : this.take(Math.min(left, countMax));
  }

  /** Waits for the next piece, once everything at hand is taken; false at the stream's end. Rejects as the stream does. */
  async refill(): Promise<boolean> {
    const next = await this.#pieces.next();
    if (next.done === true) return false;
    const { buffer, byteOffset, byteLength } = next.value;
    this.#piece = Buffer.from(buffer, byteOffset, byteLength);
    this.#offset = 0;
    return true;
  }

  /** The next `count` bytes; fewer at the stream's end. */
  async read(count: number): Promise<Buffer> {
    const whole = this.take(count);
    if (whole !== null) return whole;
    const bytes = Buffer.allocUnsafe(count);
    let length = 0;
    do {
      const some = this.takeSome(count - length);
      if (some === null) continue;
      length += some.copy(bytes, length);
    } while (length < count && (await this.refill()));
    return bytes.subarray(0, length);
  }

  /** Passes over the next `count` bytes; false when the stream ends before. */
  async skip(count: number): Promise<boolean> {
    for (let left = count; left > 0;) {
      const some = this.takeSome(left);
      if (some !== null) left -= some.length;
      else if (!(await this.refill())) return false;
    }
    return true;
  }

  /** Lets go of the stream. Never rejects; does not wait for a call that is under way. */
  close(): void {
    this.#piece = Buffer.alloc(0);
    this.#offset = 0;
    void Promise.resolve(this.#pieces.return?.()).catch(() => undefined);
  }
}
