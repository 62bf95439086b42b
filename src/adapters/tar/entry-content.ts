import type { ByteReader } from "./byte-reader.js";
import type { ReadMeter } from "./read-meter.js";

type Next = IteratorResult<Uint8Array, undefined>;

const END: Next = Object.freeze({ done: true, value: undefined });

/** One entry's bytes, in the pieces in which they come. */
export class EntryContent implements AsyncIterable<Uint8Array> {
  readonly #reader: ByteReader;
  readonly #meter: ReadMeter;
  readonly #asRefusal: (error: unknown) => unknown;
  #left: number;
  /** The latest call that had to wait; the next one comes after it. */
  #waiting: Promise<Next> | null = null;

  constructor(reader: ByteReader, size: number, meter: ReadMeter, asRefusal: (error: unknown) => unknown) {
    this.#reader = reader;
    this.#meter = meter;
    this.#asRefusal = asRefusal;
    this.#left = size;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined, undefined> {
    return { next: () => this.#next() };
  }

  /**
   * All bytes that were not read, when they are at hand; else null. They are good until the next entry is asked for, and cost no
   * wait.
   */
  takeWhole(): Uint8Array | null {
    const whole = this.#waiting === null ? this.#reader.take(this.#left) : null;
    if (whole !== null) this.#left = 0;
    return whole;
  }

  /** Whether a call still waits for bytes. */
  get isAwaited(): boolean {
    return this.#waiting !== null;
  }

  /** Resolves once the calls that wait have ended. Never rejects. */
  async settled(): Promise<void> {
    await this.#waiting?.catch(() => undefined);
  }

  /** Ends it, when no call waits; gives how many bytes were not read. */
  close(): number {
    const left = this.#left;
    this.#left = 0;
    return left;
  }

  #next(): Promise<Next> {
    // Not an async function: most contents are at hand, and there are thousands of them.
    const piece = this.#waiting === null ? this.#atHand() : null;
    if (piece !== null) return Promise.resolve(piece);
    const waiting = this.#wait(this.#waiting).finally(() => {
      if (this.#waiting === waiting) this.#waiting = null;
    });
    this.#waiting = waiting;
    return waiting;
  }

  #atHand(): Next | null {
    if (this.#left === 0) return END;
    const value = this.#reader.takeSome(this.#left);
    if (value === null) return null;
    this.#left -= value.length;
    return { done: false, value };
  }

  async #wait(before: Promise<Next> | null): Promise<Next> {
    await before;
    try {
      for (;;) {
        const piece = this.#atHand();
        if (piece !== null) return piece;
        if (!(await this.#reader.refill())) throw this.#meter.truncated();
      }
    } catch (error) {
      throw this.#asRefusal(error);
    }
  }
}
