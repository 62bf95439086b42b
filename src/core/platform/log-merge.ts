/**
 * Reads many sources at once into one, in the order in which their values come. Each source is read one value ahead
 * only, so a slow reader slows them all. Sources can be added until {@link LogMerge.finish}; a source that fails is
 * replaced by what `onFailure` says of it. {@link LogMerge.fail} ends it all.
 */
export class LogMerge<T> {
  readonly #onFailure: (error: unknown, name: string) => T | null;
  readonly #waiting: { readonly value: T; readonly taken: () => void }[] = [];
  readonly #iterators = new Map<string, AsyncIterator<T>>();
  readonly #pumps = new Set<Promise<void>>();
  #isFinished = false;
  #isClosed = false;
  #failure: { readonly error: unknown } | null = null;
  #wake: (() => void) | null = null;

  constructor(onFailure: (error: unknown, name: string) => T | null) {
    this.#onFailure = onFailure;
  }

  /** True when a source of that name is being read. */
  has(name: string): boolean {
    return this.#iterators.has(name);
  }

  add(name: string, source: AsyncIterable<T>): void {
    if (this.#isClosed) return;
    const iterator = source[Symbol.asyncIterator]();
    this.#iterators.set(name, iterator);
    const pump = this.#pump(name, iterator).finally(() => {
      this.#iterators.delete(name);
      this.#pumps.delete(pump);
      this.#wake?.();
    });
    this.#pumps.add(pump);
  }

  /** No source will be added any more: the merge ends with its last one. */
  finish(): void {
    this.#isFinished = true;
    this.#wake?.();
  }

  /** No value comes any more: who reads them is thrown the error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  async *values(): AsyncGenerator<T> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      const next = this.#waiting.shift();
      if (next !== undefined) {
        next.taken();
        yield next.value;
      } else if (this.#isFinished && this.#pumps.size === 0) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** Lets go of values that nobody will read. The sources end by their own signal. */
  close(): void {
    this.#isClosed = true;
    this.#isFinished = true;
    for (const { taken } of this.#waiting.splice(0)) taken();
    this.#wake?.();
  }

  async #pump(name: string, iterator: AsyncIterator<T>): Promise<void> {
    try {
      for (;;) {
        const next = await iterator.next();
        if (next.done === true || this.#isClosed) break;
        await this.#offer(next.value);
      }
      if (this.#isClosed) await iterator.return?.();
    } catch (error) {
      const told = this.#isClosed ? null : this.#onFailure(error, name);
      if (told !== null) await this.#offer(told);
    }
  }

  #offer(value: T): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ value, taken: resolve });
      this.#wake?.();
    });
  }
}
