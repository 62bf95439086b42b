/** Runs work in turn for each key. */
export class KeyedQueue {
  readonly #last = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(key) ?? Promise.resolve()).then(work, work);
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(key, settled);
    void settled.then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    return mine;
  }

  /** Resolves when the work that is queued for the key now is done. */
  async idle(key: string): Promise<void> {
    await this.#last.get(key);
  }

  /** Resolves when all work that is queued now is done. */
  async allIdle(): Promise<void> {
    await Promise.all(this.#last.values());
  }
}
