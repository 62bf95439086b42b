import { DinpError } from "../model/errors.js";
import type { ByteStream } from "../ports/registry.js";
import type { Hasher, RunningHash } from "../ports/system.js";

/**
 * A stream that is read once, counted, bounded and hashed as it passes. Whoever reads it may stop early:
 * {@link Upload.digest} reads the rest.
 */
export class Upload implements AsyncIterable<Uint8Array> {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #hash: RunningHash;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(source: ByteStream, hasher: Hasher, bytesMax: number) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#hash = hasher.sha256();
    this.#bytesMax = bytesMax;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next() };
  }

  /** Hex SHA-256 of all of it. Ends the upload. */
  async digest(): Promise<string> {
    for (;;) {
      const next = await this.#next();
      if (next.done === true) return this.#hash.digestHex();
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const next = await this.#iterator.next();
    if (next.done === true) return next;
    this.#bytes += next.value.byteLength;
    if (this.#bytes > this.#bytesMax) {
      const mebibytes = String(Math.floor(this.#bytesMax / 1024 ** 2));
      throw new DinpError("DINP_TOO_LARGE", `The upload is larger than ${mebibytes} MiB.`, {
        hint: "Leave out what the app does not need to run.",
        details: { bytesMax: this.#bytesMax },
      });
    }
    this.#hash.update(next.value);
    return next;
  }
}
