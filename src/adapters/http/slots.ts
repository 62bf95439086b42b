/** A bounded number of things at once; those who wait do so in order, and not for ever. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves with true when a slot was taken, with false after `timeoutMs` or when the signal aborts. */
  async take(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return new Promise((resolve) => {
      const end = (taken: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        this.#waiting.delete(handOver);
        resolve(taken);
      };
      const handOver = (): void => {
        end(true);
      };
      const giveUp = (): void => {
        end(false);
      };
      const timer = setTimeout(giveUp, timeoutMs);
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(handOver);
    });
  }

  /** Gives a slot back: to the one who has waited longest, if anyone waits. */
  give(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else next();
  }
}
