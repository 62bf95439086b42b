import { createHash } from "node:crypto";
import type { ByteStream } from "@dinp/core";

const FIRST_BYTES = 64 * 1024;

/** A part of a stream; its bytes stay as they are until the second next one is asked for. */
export interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** Reads a stream once, in chunks of at least the size that is asked for (but the last), and hashes it on the way. */
export class ChunkReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #hash = createHash("sha256");
  /** Filled in turn: one is sent while the other is read into. */
  readonly #buffers: [Uint8Array, Uint8Array] = [new Uint8Array(0), new Uint8Array(0)];
  #turn: 0 | 1 = 0;
  #rest: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #hasEnded = false;

  constructor(bytes: ByteStream) {
    this.#pieces = bytes[Symbol.asyncIterator]();
  }

  /** Bytes that were read so far. */
  get size(): number {
    return this.#offset;
  }

  /** `sha256:…` of all that was read; ends the hash. */
  digest(): string {
    return `sha256:${this.#hash.digest("hex")}`;
  }

  async next(size: number): Promise<Chunk> {
    this.#turn = this.#turn === 0 ? 1 : 0;
    let length = 0;
    while (length < size && (await this.#pull())) {
      const taken = this.#rest.subarray(0, size - length);
      this.#bufferOf(length, taken.length, size).set(taken, length);
      this.#rest = this.#rest.subarray(taken.length);
      length += taken.length;
    }
    const offset = this.#offset;
    this.#offset += length;
    return { offset, bytes: this.#buffers[this.#turn].subarray(0, length), isLast: this.#hasEnded };
  }

  /** Whether there are bytes to take; asks the stream for a piece when there are none. */
  async #pull(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#hasEnded) {
      const next = await this.#pieces.next();
      if (next.done === true) {
        this.#hasEnded = true;
      } else {
        this.#rest = next.value;
        this.#hash.update(next.value);
      }
    }
    return this.#rest.length > 0;
  }

  /** The buffer of this turn, with room for `more` bytes after `length`; small streams need no large one. */
  #bufferOf(length: number, more: number, size: number): Uint8Array {
    const buffer = this.#buffers[this.#turn];
    if (buffer.length >= length + more) return buffer;
    const grown = new Uint8Array(Math.min(size, Math.max(FIRST_BYTES, 2 * buffer.length, length + more)));
    grown.set(buffer.subarray(0, length));
    this.#buffers[this.#turn] = grown;
    return grown;
  }
}
