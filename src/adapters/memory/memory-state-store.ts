import {
  DinpError,
  kinds as allKinds,
  listLimit,
  parseFrozen,
  prepareWrites,
  recordChange,
  schemaOf,
  type Clock,
  type CommitOptions,
  type Kind,
  type Lease,
  type ListOptions,
  type PreparedWrite,
  type RecordChange,
  type Revision,
  type Snapshot,
  type StateStore,
  type Stored,
  type WatchEvent,
  type Write,
} from "@dinp/core";
import { KindTable } from "./kind-table.js";
import { MemoryLeases } from "./memory-leases.js";
import { WakeUp } from "./wake-up.js";

export interface MemoryStateStoreOptions {
  /** Leases run on its monotonic time. */
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Commits that a watch can go back; a little more may be kept. Default 10,000. */
  readonly changeLogCommits?: number;
}

/**
 * A `StateStore` in this process's memory: the reference for what every other one does. Nothing outlives the process.
 * Each record is copied once, as JSON, at its commit and deeply frozen; all readers get that same frozen copy.
 */
export function createMemoryStateStore(options: MemoryStateStoreOptions): StateStore {
  return new MemoryStateStore(options);
}

type Tables = { readonly [K in Kind]: KindTable<K> };
type Commit = Extract<WatchEvent, { readonly type: "commit" }>;

const PAGE = 500;

class MemoryStateStore implements StateStore {
  readonly #tables = createTables();
  readonly #leases: MemoryLeases;
  readonly #logMax: number;
  readonly #wakeUp = new WakeUp();
  /** Without holes: the last one is the commit of `#revision`. */
  readonly #log: Commit[] = [];
  #revision: Revision = 0;
  #phase: "new" | "open" | "closed" = "new";

  constructor(options: MemoryStateStoreOptions) {
    this.#leases = new MemoryLeases(options.clock);
    this.#logMax = options.changeLogCommits ?? 10_000;
    if (!Number.isSafeInteger(this.#logMax) || this.#logMax < 1) {
      throw new TypeError(`changeLogCommits must be at least 1; got ${String(this.#logMax)}.`);
    }
  }

  async open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#phase === "closed") throw closedError();
    if (this.#phase === "open") throw new TypeError("The store is already open.");
    assertNotAborted(options.signal);
    this.#phase = "open";
    await Promise.resolve();
  }

  async snapshot(
    options: { readonly kinds?: readonly Kind[]; readonly signal?: AbortSignal } = {},
  ): Promise<Snapshot> {
    await this.#enter(options.signal);
    const asked = new Set(options.kinds ?? allKinds);
    for (const kind of asked) schemaOf(kind);
    const records = allKinds
      .filter((kind) => asked.has(kind))
      .flatMap((kind): readonly Stored[] => this.#table(kind).all());
    return { revision: this.#revision, records };
  }

  async get<K extends Kind>(
    kind: K,
    key: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Stored<K> | null> {
    await this.#enter(options.signal);
    return this.#table(kind).get(key);
  }

  async getUnique<K extends Kind>(
    kind: K,
    unique: string,
    value: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Stored<K> | null> {
    await this.#enter(options.signal);
    const table = this.#table(kind);
    const key = table.keyOfUnique(unique, value);
    return key === null ? null : table.get(key);
  }

  async *list<K extends Kind>(kind: K, options: ListOptions = {}): AsyncGenerator<Stored<K>, void> {
    let left = listLimit(kind, options);
    let after = options.after ?? null;
    for (;;) {
      await this.#enter(options.signal);
      const size = Math.min(PAGE, left);
      const page = this.#table(kind).page(options.index, after, size, options.reverse ?? false);
      for (const stored of page) {
        assertNotAborted(options.signal);
        yield stored;
      }
      left -= page.length;
      after = page.at(-1)?.key ?? after;
      if (page.length < size || left === 0) return;
    }
  }

  async commit(
    writes: readonly Write[],
    options: CommitOptions = {},
  ): Promise<{ readonly revision: Revision }> {
    const prepared = prepareWrites(writes);
    await this.#enter(options.signal);
    const { fencing } = options;
    if (fencing !== undefined && !this.#leases.isAt(fencing.lease, fencing.epoch)) {
      throw new DinpError("DINP_FENCED", `The lease "${fencing.lease}" has moved on.`, {
        hint: "Another holder leads now; stop acting for the lease.",
        details: { lease: fencing.lease, epoch: fencing.epoch },
      });
    }
    for (const write of prepared) this.#assertRevision(write);
    this.#assertUnique(prepared);
    const changes = this.#apply(prepared, this.#revision + 1);
    if (changes.length > 0) this.#publish(changes);
    return { revision: this.#revision };
  }

  async *watch(options: {
    readonly after: Revision;
    readonly kinds?: readonly Kind[];
    readonly signal: AbortSignal;
  }): AsyncGenerator<WatchEvent, void> {
    const { signal } = options;
    if (!Number.isSafeInteger(options.after) || options.after < 0) {
      throw new TypeError(`after must be a revision; got ${String(options.after)}.`);
    }
    const asked = options.kinds === undefined ? null : new Set(options.kinds);
    this.#assertOpen();
    let after = options.after;
    while (!signal.aborted && this.#isOpen()) {
      const version = this.#wakeUp.version;
      const commit = this.#commitAfter(after);
      if (commit === "reset") {
        yield { type: "reset" };
        return;
      }
      if (commit === null) {
        await this.#wakeUp.changedSince(version, signal);
        continue;
      }
      after = commit.revision;
      yield asked === null ? commit : onlyKinds(commit, asked);
    }
  }

  async tryAcquireLease(request: {
    readonly name: string;
    readonly holder: string;
    readonly ttlMs: number;
    readonly signal?: AbortSignal;
  }): Promise<Lease | null> {
    const { name, holder, ttlMs } = request;
    await this.#enter(request.signal);
    return this.#leases.tryAcquire(name, holder, ttlMs);
  }

  async releaseLease(lease: Lease): Promise<void> {
    const { name, epoch } = lease;
    await this.#enter(undefined);
    this.#leases.release(name, epoch);
  }

  async close(): Promise<void> {
    this.#phase = "closed";
    this.#wakeUp.notify();
    await Promise.resolve();
  }

  #table<K extends Kind>(kind: K): KindTable<K> {
    schemaOf(kind);
    return this.#tables[kind];
  }

  #assertRevision(write: PreparedWrite): void {
    if (write.ifRevision === undefined) return;
    const revision = this.#table(write.kind).revisionOf(write.key);
    if (revision === (write.ifRevision === "absent" ? 0 : write.ifRevision)) return;
    throw new DinpError(
      "DINP_CONFLICT",
      `The ${write.kind} "${write.key}" is at revision ${String(revision)}, not ${String(write.ifRevision)}.`,
      {
        hint: "Read the record again and repeat the change.",
        details: { kind: write.kind, key: write.key, revision },
      },
    );
  }

  /** Judges the state that the whole commit leads to, so that a value can move from one record to another. */
  #assertUnique(writes: readonly PreparedWrite[]): void {
    const written = new Set<string>();
    for (const write of writes) if (write.op !== "check") written.add(`${write.kind} ${write.key}`);
    const taken = new Set<string>();
    for (const write of writes) {
      if (write.op !== "put") continue;
      for (const { name, value } of write.unique) {
        const owner = this.#table(write.kind).keyOfUnique(name, value);
        const id = `${write.kind} ${name} ${value}`;
        if (taken.has(id) || (owner !== null && !written.has(`${write.kind} ${owner}`))) {
          throw new DinpError("DINP_NOT_UNIQUE", `Another ${write.kind} has the ${name} "${value}".`, {
            details: { kind: write.kind, unique: name, value },
          });
        }
        taken.add(id);
      }
    }
  }

  #apply(writes: readonly PreparedWrite[], revision: Revision): readonly RecordChange[] {
    const changes: RecordChange[] = [];
    for (const write of writes) {
      const table = this.#table(write.kind);
      if (write.op === "put") {
        const value = table.put(write.key, parseFrozen(write.text), revision, write.unique, write.indexes);
        changes.push(recordChange(write.kind, write.key, value));
      } else if (write.op === "delete" && table.get(write.key) !== null) {
        table.delete(write.key);
        changes.push(recordChange(write.kind, write.key, null));
      }
    }
    return changes;
  }

  #publish(changes: readonly RecordChange[]): void {
    this.#revision += 1;
    this.#log.push(
      Object.freeze({ type: "commit", revision: this.#revision, changes: Object.freeze(changes) }),
    );
    // In batches, because dropping one entry moves all others.
    const slack = Math.ceil(this.#logMax / 10);
    if (this.#log.length > this.#logMax + slack) this.#log.splice(0, slack);
    this.#wakeUp.notify();
  }

  #commitAfter(after: Revision): Commit | "reset" | null {
    if (after === this.#revision) return null;
    const first = this.#revision - this.#log.length + 1;
    return this.#log[after + 1 - first] ?? "reset";
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    this.#assertOpen();
    assertNotAborted(signal);
    await Promise.resolve();
    // Both can have happened meanwhile; from here on nothing waits, so that each call is atomic.
    this.#assertOpen();
    assertNotAborted(signal);
  }

  #isOpen(): boolean {
    return this.#phase === "open";
  }

  #assertOpen(): void {
    if (this.#phase === "closed") throw closedError();
    if (this.#phase === "new") throw new TypeError("Call open() before anything else.");
  }
}

function createTables(): Tables {
  return {
    app: new KindTable("app"),
    release: new KindTable("release"),
    placement: new KindTable("placement"),
    instanceStatus: new KindTable("instanceStatus"),
    node: new KindTable("node"),
    domain: new KindTable("domain"),
    build: new KindTable("build"),
    buildLog: new KindTable("buildLog"),
    base: new KindTable("base"),
    imageDiscard: new KindTable("imageDiscard"),
    registryAccount: new KindTable("registryAccount"),
    secretVersion: new KindTable("secretVersion"),
    rollout: new KindTable("rollout"),
    crash: new KindTable("crash"),
    router: new KindTable("router"),
    withdrawal: new KindTable("withdrawal"),
    token: new KindTable("token"),
    joinToken: new KindTable("joinToken"),
    nodeCredential: new KindTable("nodeCredential"),
    idempotency: new KindTable("idempotency"),
    event: new KindTable("event"),
    setting: new KindTable("setting"),
  };
}

function onlyKinds(commit: Commit, asked: ReadonlySet<Kind>): Commit {
  return { ...commit, changes: commit.changes.filter((change) => asked.has(change.kind)) };
}

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new DinpError("DINP_ABORTED", "The call was aborted.", { cause: signal.reason });
}

function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The store is closed.", { hint: "Open a new store." });
}
