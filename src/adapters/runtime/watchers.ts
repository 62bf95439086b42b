/** All who watch a runtime's instances. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();

  /** Ids that are told from now on, until the signal aborts or `end` is called; one told twice before it is read comes once. */
  watch(signal: AbortSignal): AsyncIterable<string> {
    const watcher = new Watcher(signal, (ended) => this.#watchers.delete(ended));
    if (!signal.aborted) this.#watchers.add(watcher);
    return watcher;
  }

  tell(instanceId: string): void {
    for (const watcher of this.#watchers) watcher.push(instanceId);
  }

  end(): void {
    for (const watcher of [...this.#watchers]) watcher.end();
  }
}

/** Keys that wait to be told to one reader, each once. */
class Watcher implements AsyncIterableIterator<string> {
  readonly #pending = new Set<string>();
  readonly #signal: AbortSignal;
  readonly #onEnd: (watcher: Watcher) => void;
  #wake: (() => void) | null = null;
  #over = false;

  constructor(signal: AbortSignal, onEnd: (watcher: Watcher) => void) {
    this.#signal = signal;
    this.#onEnd = onEnd;
    if (signal.aborted) this.end();
    else signal.addEventListener("abort", this.end, { once: true });
  }

  push(key: string): void {
    this.#pending.add(key);
    this.#wake?.();
  }

  readonly end = (): void => {
    if (this.#over) return;
    this.#over = true;
    this.#signal.removeEventListener("abort", this.end);
    this.#onEnd(this);
    this.#wake?.();
  };

  async next(): Promise<IteratorResult<string, undefined>> {
    for (;;) {
      if (this.#over) return { done: true, value: undefined };
      for (const key of this.#pending) {
        this.#pending.delete(key);
        return { done: false, value: key };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }

  return(): Promise<IteratorResult<string, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
