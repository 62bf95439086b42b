import { nextTick } from "node:process";
import { setImmediate } from "node:timers";

/** After so many acts, whatever else there is in this thread has its turn. */
const BREATHE_EVERY = 200;

/** What is to happen at a moment of simulated time. */
export interface Appointment {
  readonly at: number;
  cancel(): void;
}

/** Says whether what it owns may act now. */
export interface Owner {
  /** Simulated time from which on it acts again; `Infinity`: never. 0: now. */
  readonly stoppedUntil: number;
}

interface Entry {
  at: number;
  order: number;
  act: (() => void) | null;
  readonly owner: Owner | null;
}

/**
 * Simulated time. Nothing happens but what was appointed, in the order of time, then of appointment; between two
 * appointments all that became ready runs to its end.
 */
export class Scheduler {
  readonly #heap: Entry[] = [];
  #now = 0;
  #orders = 0;
  #acts = 0;

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** How many appointments were kept. */
  get acts(): number {
    return this.#acts;
  }

  /** What a stopped owner has to do waits for it; what one that never comes back has to do is dropped. */
  after(ms: number, act: () => void, owner: Owner | null = null): Appointment {
    this.#orders += 1;
    const entry: Entry = { at: this.#now + Math.max(0, ms), order: this.#orders, act, owner };
    this.#push(entry);
    return {
      at: entry.at,
      cancel: () => {
        entry.act = null;
      },
    };
  }

  /** Resolves after `ms`; never when its owner does not come back. */
  sleep(ms: number, owner: Owner | null = null): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve, owner);
    });
  }

  /** Lets time pass until `end`, or until `isOver` says so. */
  async run(end: number, isOver: () => boolean): Promise<void> {
    for (let entry = this.#heap[0]; entry !== undefined && entry.at <= end; entry = this.#heap[0]) {
      this.#pop();
      if (entry.act === null) continue;
      this.#now = Math.max(this.#now, entry.at);
      const until = entry.owner?.stoppedUntil ?? 0;
      if (until === Number.POSITIVE_INFINITY) continue;
      if (until > this.#now) {
        entry.at = until;
        this.#push(entry);
        continue;
      }
      entry.act();
      this.#acts += 1;
      await settled(this.#acts % BREATHE_EVERY === 0);
      if (isOver()) return;
    }
    this.#now = Math.max(this.#now, end);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || isBefore(parent, entry)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const leftIndex = 2 * index + 1;
      const left = heap[leftIndex];
      if (left === undefined) break;
      const right = heap[leftIndex + 1];
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (isBefore(last, child)) break;
      heap[index] = child;
      index = isRight ? leftIndex + 1 : leftIndex;
    }
    heap[index] = last;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/** Resolves when every promise that could go on has gone on: Node calls back only when no microtask is left. */
function settled(mayBreathe: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (mayBreathe) setImmediate(resolve);
    else nextTick(resolve);
  });
}
