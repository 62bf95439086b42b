import {
  DinpError,
  type CommitOptions,
  type Kind,
  type Lease,
  type ListOptions,
  type Snapshot,
  type StateStore,
  type Stored,
  type WatchEvent,
  type Write,
} from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { ManualClock } from "../../adapters/state-store-support/memory.js";

/** What outlives the stores that are opened over it, as a disk would; it can stop answering. */
export class Backing {
  readonly clock = new ManualClock();
  readonly store: StateStore;
  #outage = new AbortController();

  constructor(changeLogCommits: number) {
    this.store = createMemoryStateStore({ clock: this.clock, changeLogCommits });
  }

  get outage(): AbortSignal {
    return this.#outage.signal;
  }

  fail(): void {
    this.#outage.abort();
  }

  recover(): void {
    this.#outage = new AbortController();
  }
}

/** A good store over a {@link Backing}. */
export class DurableStore implements StateStore {
  readonly #backing: Backing;
  readonly #closed = new AbortController();
  #isOpen = false;

  constructor(backing: Backing) {
    this.#backing = backing;
  }

  async open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#closed.signal.aborted) throw closedError();
    if (this.#isOpen) throw new TypeError("The store is already open.");
    if (options.signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The call was aborted.");
    this.#isOpen = true;
    await Promise.resolve();
  }

  async snapshot(options?: Parameters<StateStore["snapshot"]>[0]): Promise<Snapshot> {
    return this.#inner().snapshot(options);
  }

  async get<K extends Kind>(kind: K, key: string, options?: ListOptions): Promise<Stored<K> | null> {
    return this.#inner().get(kind, key, options);
  }

  async getUnique<K extends Kind>(
    kind: K,
    unique: string,
    value: string,
    options?: ListOptions,
  ): Promise<Stored<K> | null> {
    return this.#inner().getUnique(kind, unique, value, options);
  }

  async *list<K extends Kind>(kind: K, options?: ListOptions): AsyncGenerator<Stored<K>, void> {
    for await (const stored of this.#inner().list(kind, options)) {
      yield stored;
      this.#inner();
    }
  }

  async commit(writes: readonly Write[], options?: CommitOptions): Promise<{ readonly revision: number }> {
    return this.#inner().commit(writes, options);
  }

  async *watch(options: Parameters<StateStore["watch"]>[0]): AsyncGenerator<WatchEvent, void> {
    const inner = this.#inner();
    const { outage } = this.#backing;
    const signal = AbortSignal.any([options.signal, this.#closed.signal, outage]);
    yield* inner.watch({ ...options, signal });
    if (outage.aborted && !options.signal.aborted) throw unavailableError();
  }

  async tryAcquireLease(request: Parameters<StateStore["tryAcquireLease"]>[0]): Promise<Lease | null> {
    return this.#inner().tryAcquireLease(request);
  }

  async releaseLease(lease: Lease): Promise<void> {
    return this.#inner().releaseLease(lease);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.resolve();
  }

  #inner(): StateStore {
    if (this.#closed.signal.aborted) throw closedError();
    if (!this.#isOpen) throw new TypeError("Call open() before anything else.");
    if (this.#backing.outage.aborted) throw unavailableError();
    return this.#backing.store;
  }
}

function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The store is closed.");
}

function unavailableError(): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The backing does not answer.", { retryable: true });
}
