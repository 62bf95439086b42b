interface Timer {
  readonly at: number;
  readonly key: string;
}

/** When what each key names is to be looked at again, the earliest first. */
export class KeyTimers {
  readonly #times = new Map<string, number>();
  /** A binary heap; entries that `#times` no longer says are left in it until they come up. */
  #heap: Timer[] = [];

  /** The earliest time, or null. */
  get next(): number | null {
    this.#dropStale();
    return this.#heap[0]?.at ?? null;
  }

  /** Replaces the key's time; null: it has none. */
  set(key: string, at: number | null): void {
    if (this.#times.get(key) === (at ?? undefined)) return;
    if (at === null) this.#times.delete(key);
    else {
      this.#times.set(key, at);
      this.#push({ at, key });
      if (this.#heap.length > 2 * this.#times.size + 64) this.#rebuild();
    }
  }

  /** Takes out the keys whose time has come. */
  takeDue(now: number): string[] {
    const due: string[] = [];
    for (let next = this.next; next !== null && next <= now; next = this.next) {
      const timer = this.#pop();
      if (timer === undefined) break;
      this.#times.delete(timer.key);
      due.push(timer.key);
    }
    return due;
  }

  #dropStale(): void {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#times.get(top.key) === top.at) return;
      this.#pop();
    }
  }

  #rebuild(): void {
    this.#heap = [...this.#times].map(([key, at]) => ({ at, key })).sort((a, b) => a.at - b.at);
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let hole = heap.push(timer) - 1;
    while (hole > 0) {
      const above = (hole - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.at <= timer.at) break;
      heap[hole] = parent;
      hole = above;
    }
    heap[hole] = timer;
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let hole = 0;
    for (;;) {
      let below = 2 * hole + 1;
      const right = heap[below + 1];
      let child = heap[below];
      if (child !== undefined && right !== undefined && right.at < child.at) {
        child = right;
        below += 1;
      }
      if (child === undefined || child.at >= last.at) break;
      heap[hole] = child;
      hole = below;
    }
    heap[hole] = last;
    return top;
  }
}
