import { Buffer } from "node:buffer";

const CHUNK_BYTES = 1024 * 1024;
/** Larger pieces of content are passed on as they are. */
const COPIED_BYTES_MAX = 64 * 1024;

/**
 * Gathers small pieces, so that an archive of many small files is not as many small writes. Bytes that were given out are
 * never written to again.
 */
export class ChunkBuffer {
  #slab = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #start = 0;
  #end = 0;
  readonly #full: Uint8Array[] = [];

  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** The first of the chunks that are done, which is its caller's from now on. `TypeError` when there is none. */
  takeFull(): Uint8Array {
    const full = this.#full.shift();
    if (full === undefined) throw new TypeError("No chunk is full.");
    return full;
  }

  add(piece: Uint8Array): void {
    if (piece.length >= COPIED_BYTES_MAX) {
      this.flush();
      this.#full.push(piece);
      return;
    }
    this.#makeRoom(piece.length);
    this.#slab.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Adds zeros, fewer than a chunk has bytes. */
  pad(count: number): void {
    if (count === 0) return;
    this.#makeRoom(count);
    this.#slab.fill(0, this.#end, this.#end + count);
    this.#end += count;
  }

  flush(): void {
    if (this.#end === this.#start) return;
    this.#full.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #makeRoom(count: number): void {
    if (this.#end + count <= CHUNK_BYTES) return;
    this.flush();
    this.#slab = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#start = 0;
    this.#end = 0;
  }
}
