/** Lets at most so many run at the same time, in order. */
export class Gate {
  readonly #places: number;
  #free: number;
  readonly #idle: (() => void)[] = [];
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#places = places;
    this.#free = places;
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    if (this.#free < this.#places) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
      if (this.#free === this.#places) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }
}
