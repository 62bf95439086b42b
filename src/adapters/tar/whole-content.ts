/** A file's bytes, all of them at hand. */
export class WholeContent implements AsyncIterable<Uint8Array> {
  readonly #onRead: (bytes: number) => void;
  #bytes: Uint8Array | null;

  /** @param onRead Is told how many bytes there are once they are read. */
  constructor(bytes: Uint8Array, onRead: (bytes: number) => void) {
    this.#bytes = bytes;
    this.#onRead = onRead;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined, undefined> {
    return {
      next: () => {
        const value = this.takeWhole();
        return Promise.resolve(value === null ? { done: true, value: undefined } : { done: false, value });
      },
    };
  }

  /** The bytes, the first time; then null. */
  takeWhole(): Uint8Array | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    if (bytes !== null) this.#onRead(bytes.length);
    return bytes;
  }
}
