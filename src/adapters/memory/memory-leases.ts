import { assertStoreKey, type Clock, type Lease } from "@dinp/core";

interface LeaseRow {
  readonly holder: string | null;
  readonly epoch: number;
  /** On the clock's monotonic time. */
  readonly expiresAt: number;
}

/** Leases on the monotonic time of the injected clock. */
export class MemoryLeases {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #rows = new Map<string, LeaseRow>();

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  tryAcquire(name: string, holder: string, ttlMs: number): Lease | null {
    assertStoreKey(name, "The name of a lease");
    assertStoreKey(holder, "The holder of a lease");
    if (!Number.isSafeInteger(ttlMs) || ttlMs <= 0) {
      throw new TypeError(`ttlMs must be a positive whole number; got ${String(ttlMs)}.`);
    }
    const now = this.#clock.monotonicMs();
    const row = this.#rows.get(name);
    const held = row !== undefined && row.holder !== null && row.expiresAt > now;
    if (held && row.holder !== holder) return null;
    const epoch = row === undefined ? 1 : row.holder === holder ? row.epoch : row.epoch + 1;
    this.#rows.set(name, { holder, epoch, expiresAt: now + ttlMs });
    return Object.freeze({ name, holder, epoch, ttlMs });
  }

  release(name: string, epoch: number): void {
    if (!this.isAt(name, epoch)) return;
    this.#rows.set(name, { holder: null, epoch, expiresAt: 0 });
  }

  /** True while nobody else took the lease and it was not given up, even when it has expired. */
  isAt(name: string, epoch: number): boolean {
    const row = this.#rows.get(name);
    return row !== undefined && row.holder !== null && row.epoch === epoch;
  }
}
