import type { Random } from "../../ports/system.js";

/** Randomness that a seed decides: the same seed gives the same numbers. Not fit for secrets. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `stream` separates the numbers of one user from those of another with the same seed. */
  constructor(seed: number, stream = "") {
    let hash = 0x811c9dc5;
    for (const unit of `${String(seed)}/${stream}`) {
      hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    }
    this.#a = hash;
    this.#b = Math.imul(hash, 0x9e3779b1) >>> 0;
    this.#c = (hash ^ 0x5bd1e995) >>> 0;
    for (let i = 0; i < 12; i += 1) this.#word();
  }

  next(): number {
    return this.#word() / 2 ** 32;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#word() & 0xff);
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the items; `TypeError` when there is none. */
  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new TypeError("There is nothing to pick from.");
    return item;
  }

  /** Exponentially distributed with this mean, at most ten times it. */
  exponential(mean: number): number {
    return Math.min(10 * mean, -mean * Math.log(1 - this.next()));
  }

  /** sfc32 (Chris Doty-Humphrey, PractRand): 32 bits of it. */
  #word(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }
}
