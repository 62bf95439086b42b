/** One timer that can be fed cheaply: feeding stores a time, it does not touch the timer. */
export class Watchdog {
  #timer: NodeJS.Timeout | null = null;
  #fedAt = 0;

  /** Calls `onExpire` once nothing has fed it for `ms`. Replaces what was armed before. */
  arm(ms: number, onExpire: () => void): void {
    this.stop();
    this.feed();
    const check = (): void => {
      const leftMs = this.#fedAt + ms - performance.now();
      if (leftMs > 0) this.#timer = setTimeout(check, leftMs);
      else onExpire();
    };
    this.#timer = setTimeout(check, ms);
  }

  feed(): void {
    this.#fedAt = performance.now();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
