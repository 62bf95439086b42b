import { DinpError } from "@dinp/core";

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

/** The promise's outcome, or `DINP_ABORTED` when the signal aborts first; what was begun goes on. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  // Whoever does not wait any more is not told of a failure.
  promise.catch(() => undefined);
  throwIfAborted(signal);
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(abortedError(signal));
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Throws `DINP_ABORTED` when the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal);
}

function abortedError(signal: AbortSignal): DinpError {
  return new DinpError("DINP_ABORTED", "The caller aborted the call.", { cause: signal.reason });
}

/** Keys that wait to be told to one reader, each once. */
export class Watcher implements AsyncIterableIterator<string> {
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
