import {
  type CommitOptions,
  DinpError,
  type Kind,
  type Lease,
  type ListOptions,
  type Revision,
  type Snapshot,
  type StateStore,
  type Stored,
  type WatchEvent,
  type Write,
} from "@dinp/core";

/** Answers one commit: `apply` carries it out in the store beneath. */
export type CommitFault = (
  writes: readonly Write[],
  apply: () => Promise<{ readonly revision: Revision }>,
) => Promise<{ readonly revision: Revision }>;

/** One server's way to a store that all share; faults are set on it from outside. */
export class FaultyStore implements StateStore {
  readonly #inner: StateStore;
  /** Every call but the watches that run already fails. */
  down = false;
  /** Renewals and acquisitions of leases fail. */
  leasesDown = false;
  fault: CommitFault | null = null;
  /** While set, watches hold their events back until it resolves. */
  watchGate: Promise<void> | null = null;
  /** While set, snapshots wait for it. */
  snapshotGate: Promise<void> | null = null;
  /** Every watch says `reset` at once. */
  resets = false;
  snapshots = 0;
  /** The newest revision that a watch's reader has dealt with. */
  dealtWith: Revision = 0;
  #outage = new AbortController();

  constructor(inner: StateStore) {
    this.#inner = inner;
  }

  /** Ends every watch with an error, and fails every call until `recover`. */
  fail(): void {
    this.down = true;
    this.#outage.abort();
  }

  recover(): void {
    this.down = false;
    this.#outage = new AbortController();
  }

  open(): Promise<void> {
    return this.#inner.open();
  }

  async snapshot(options?: { kinds?: readonly Kind[]; signal?: AbortSignal }): Promise<Snapshot> {
    this.#assertUp();
    this.snapshots += 1;
    if (this.snapshotGate !== null) await this.snapshotGate;
    return this.#inner.snapshot(options);
  }

  async get<K extends Kind>(kind: K, key: string): Promise<Stored<K> | null> {
    this.#assertUp();
    return this.#inner.get(kind, key);
  }

  async getUnique<K extends Kind>(kind: K, unique: string, value: string): Promise<Stored<K> | null> {
    this.#assertUp();
    return this.#inner.getUnique(kind, unique, value);
  }

  list<K extends Kind>(kind: K, options?: ListOptions): AsyncIterable<Stored<K>> {
    this.#assertUp();
    return this.#inner.list(kind, options);
  }

  async commit(writes: readonly Write[], options?: CommitOptions): Promise<{ readonly revision: Revision }> {
    this.#assertUp();
    const apply = (): Promise<{ readonly revision: Revision }> => this.#inner.commit(writes, options);
    return this.fault === null ? apply() : this.fault(writes, apply);
  }

  async *watch(options: {
    after: Revision;
    kinds?: readonly Kind[];
    signal: AbortSignal;
  }): AsyncGenerator<WatchEvent, void> {
    this.#assertUp();
    if (this.resets) {
      yield { type: "reset" };
      return;
    }
    const outage = this.#outage.signal;
    const signal = AbortSignal.any([options.signal, outage]);
    for await (const event of this.#inner.watch({ ...options, signal })) {
      if (this.watchGate !== null) await this.watchGate;
      if (outage.aborted) break;
      yield event;
      if (event.type === "commit") this.dealtWith = Math.max(this.dealtWith, event.revision);
    }
    if (outage.aborted && !options.signal.aborted) throw unavailable();
  }

  async tryAcquireLease(request: {
    name: string;
    holder: string;
    ttlMs: number;
    signal?: AbortSignal;
  }): Promise<Lease | null> {
    this.#assertUp();
    if (this.leasesDown) throw unavailable();
    return this.#inner.tryAcquireLease(request);
  }

  async releaseLease(lease: Lease): Promise<void> {
    this.#assertUp();
    await this.#inner.releaseLease(lease);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #assertUp(): void {
    if (this.down) throw unavailable();
  }
}

export function unavailable(): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The test's store does not answer.", { retryable: true });
}

export function answerLost(): DinpError {
  return new DinpError("DINP_COMMIT_UNKNOWN", "The answer to the commit was lost.");
}

/** A promise and what resolves it. */
export function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}
