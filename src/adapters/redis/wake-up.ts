/** Tells waiting readers that there may be something new. A reader that saw an older version never waits. */
export class WakeUp {
  #version = 0;
  readonly #waiting = new Set<() => void>();

  get version(): number {
    return this.#version;
  }

  notify(): void {
    this.#version += 1;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves as soon as `notify` has been called since `version` was read, the signal aborts, or the time is over. */
  async changedSince(version: number, signal: AbortSignal, waitMsMax: number): Promise<void> {
    if (this.#version !== version || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(wake, waitMsMax);
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
