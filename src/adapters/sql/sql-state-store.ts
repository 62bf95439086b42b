import {
  DinpError,
  isDinpError,
  isStoreKey,
  kinds as allKinds,
  listLimit,
  prepareWrites,
  schemaOf,
  type CommitOptions,
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
import { assertNotAborted, closedError, repeatable, sessionOf } from "./calls.js";
import { ChangeFeed } from "./change-feed.js";
import { readChanges, type LogPage } from "./change-log.js";
import { CommitReads } from "./commit-reads.js";
import { judgeCommit } from "./commit.js";
import { SqlRetryError, type SqlDatabase, type SqlSession } from "./database.js";
import { History, readPosition } from "./history.js";
import { acquireLease, assertLeaseRequest, releaseLease } from "./leases.js";
import { migrate } from "./migrations.js";
import { readPage, readRecord, readSnapshot, readUnique } from "./reads.js";

export interface SqlStateStoreOptions {
  /** Called by `open()`; its database is closed by `close()`, and when the schema cannot be brought up to date. */
  readonly openDatabase: (context: OpeningContext) => Promise<SqlDatabase>;
  /** Commits that a watch can go back; a little more may be kept. */
  readonly changeLogCommits: number;
  /** How often watches ask for what other processes have committed; null when this process alone writes. */
  readonly pollMs: number | null;
}

/** What a database is opened with. */
export interface OpeningContext {
  readonly signal: AbortSignal | undefined;
  /** To be called when another process may have committed something. */
  readonly onHint: () => void;
  /**
   * To be called with each new connection before anything else uses it: rejects when what it leads to is older than what
   * this process has seen of the store, or another store.
   */
  readonly verify: (session: SqlSession) => Promise<void>;
}

type Phase =
  | { readonly name: "new" }
  | { readonly name: "opening"; readonly done: Promise<SqlDatabase> }
  | { readonly name: "closed"; readonly done: Promise<void> }
  | { readonly name: "open"; readonly database: SqlDatabase };

const PAGE = 500;
const ATTEMPTS_MAX = 5;

/** A `StateStore` over a SQL database. Each record that is read is parsed anew and deeply frozen. */
export class SqlStateStore implements StateStore {
  readonly #options: SqlStateStoreOptions;
  readonly #feed: ChangeFeed;
  readonly #history = new History();
  #phase: Phase = { name: "new" };

  constructor(options: SqlStateStoreOptions) {
    const { changeLogCommits, pollMs } = options;
    if (!Number.isSafeInteger(changeLogCommits) || changeLogCommits < 1) {
      throw new TypeError(`changeLogCommits must be at least 1; got ${String(changeLogCommits)}.`);
    }
    this.#options = options;
    this.#feed = new ChangeFeed({
      changeLogCommits,
      pollMs,
      isOpen: () => this.#phase.name === "open",
      readRevision: () => this.#readRevision(),
      readChanges: (after, signal) => this.#readChanges(after, signal),
    });
  }

  async open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#phase.name === "closed") throw closedError();
    if (this.#phase.name !== "new") throw new TypeError("The store is already open.");
    assertNotAborted(options.signal);
    const done = this.#openMigrated(options.signal);
    const opening: Phase = { name: "opening", done };
    this.#phase = opening;
    try {
      const database = await done;
      // close() may have been called meanwhile; it waits for this and closes the database.
      if (this.#phase !== opening) throw closedError();
      this.#phase = { name: "open", database };
    } catch (error) {
      if (this.#phase === opening) this.#phase = { name: "new" };
      throw error;
    }
  }

  async snapshot(
    options: { readonly kinds?: readonly Kind[]; readonly signal?: AbortSignal } = {},
  ): Promise<Snapshot> {
    const asked = new Set(options.kinds ?? allKinds);
    for (const kind of asked) schemaOf(kind);
    const history = this.#history;
    const { floor } = history;
    return this.#database(options.signal).read(async (session) => {
      const position = await readPosition(session);
      history.observe(position, floor);
      return readSnapshot(session, asked, position.revision);
    }, options);
  }

  async get<K extends Kind>(
    kind: K,
    key: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Stored<K> | null> {
    schemaOf(kind);
    const database = this.#database(options.signal);
    return isStoreKey(key) ? readRecord(sessionOf(database, options.signal), kind, key) : null;
  }

  async getUnique<K extends Kind>(
    kind: K,
    unique: string,
    value: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Stored<K> | null> {
    if (!Object.hasOwn(schemaOf(kind).unique, unique)) {
      throw new TypeError(`A ${kind} has no unique value "${unique}".`);
    }
    const database = this.#database(options.signal);
    return isStoreKey(value) ? readUnique(sessionOf(database, options.signal), kind, unique, value) : null;
  }

  async *list<K extends Kind>(kind: K, options: ListOptions = {}): AsyncGenerator<Stored<K>, void> {
    let left = listLimit(kind, options);
    let after = options.after ?? null;
    for (;;) {
      const database = this.#database(options.signal);
      const size = Math.min(PAGE, left);
      if (size === 0 || (options.index !== undefined && !isStoreKey(options.index.value))) return;
      const page = await readPage(sessionOf(database, options.signal), kind, options, after, size);
      for (const stored of page) {
        assertNotAborted(options.signal);
        yield stored;
      }
      left -= page.length;
      after = page.at(-1)?.key ?? after;
      if (page.length < size) return;
    }
  }

  async commit(
    writes: readonly Write[],
    options: CommitOptions = {},
  ): Promise<{ readonly revision: Revision }> {
    const prepared = prepareWrites(writes);
    const { changeLogCommits } = this.#options;
    const history = this.#history;
    try {
      const { revision, changes } = await this.#repeated(options.signal, (database) => {
        const context = { dialect: database.dialect, history, floor: history.floor, changeLogCommits };
        const reads = new CommitReads(prepared, options.fencing);
        return database.exchange(
          reads.statements,
          (rows) => judgeCommit(context, prepared, options.fencing, reads.rowsOf(rows)),
          { signal: options.signal },
        );
      });
      if (changes !== null) {
        history.advance(revision);
        this.#feed.add(revision, changes);
      }
      return { revision };
    } catch (error) {
      if (isDinpError(error, "DINP_COMMIT_UNKNOWN")) this.#feed.wake();
      throw error;
    }
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
    const asked = new Set(options.kinds ?? allKinds);
    if (signal.aborted) return;
    this.#database(undefined);
    yield* this.#feed.watch(options.after, asked, signal);
  }

  async tryAcquireLease(request: {
    readonly name: string;
    readonly holder: string;
    readonly ttlMs: number;
    readonly signal?: AbortSignal;
  }): Promise<Lease | null> {
    assertLeaseRequest(request);
    const { signal } = request;
    return repeatable(this.#repeated(signal, (database) => acquireLease(database, request, signal)));
  }

  async releaseLease(lease: Lease): Promise<void> {
    await repeatable(this.#repeated(undefined, (database) => releaseLease(database, lease)));
  }

  close(): Promise<void> {
    if (this.#phase.name === "closed") return this.#phase.done;
    const done = closePhase(this.#phase);
    this.#phase = { name: "closed", done };
    this.#feed.wake();
    return done;
  }

  async #openMigrated(signal: AbortSignal | undefined): Promise<SqlDatabase> {
    const database = await this.#options.openDatabase({
      signal,
      onHint: () => {
        this.#feed.wake();
      },
      verify: async (session) => {
        // What is being migrated may have no position yet.
        if (this.#phase.name === "open") await this.#verify(session);
      },
    });
    try {
      await migrate(database, signal);
      await this.#verify(sessionOf(database, signal));
      return database;
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  async #verify(session: SqlSession): Promise<void> {
    const { floor } = this.#history;
    this.#history.observe(await readPosition(session), floor);
  }

  async #readRevision(): Promise<Revision> {
    return (await readPosition(sessionOf(this.#database(undefined), undefined))).revision;
  }

  async #readChanges(after: Revision, signal: AbortSignal): Promise<LogPage["commits"]> {
    const { floor } = this.#history;
    const database = this.#database(signal);
    const { position, commits } = await database.read((session) => readChanges(session, after), { signal });
    this.#history.observe(position, floor);
    return commits;
  }

  /** Repeats the transaction when it lost against another one. */
  async #repeated<T>(
    signal: AbortSignal | undefined,
    transaction: (database: SqlDatabase) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const database = this.#database(signal);
      try {
        return await transaction(database);
      } catch (error) {
        if (!(error instanceof SqlRetryError)) throw error;
        if (attempt < ATTEMPTS_MAX) continue;
        throw new DinpError("DINP_UNAVAILABLE", "The transaction lost against others again and again.", {
          retryable: true,
          hint: "See that the database has room on its disk, and which transactions hold locks.",
          cause: error.cause,
        });
      }
    }
  }

  #database(signal: AbortSignal | undefined): SqlDatabase {
    switch (this.#phase.name) {
      case "open":
        assertNotAborted(signal);
        return this.#phase.database;
      case "closed":
        throw closedError();
      case "new":
      case "opening":
        throw new TypeError("Call open() before anything else.");
    }
  }
}

async function closePhase(phase: Exclude<Phase, { readonly name: "closed" }>): Promise<void> {
  switch (phase.name) {
    case "new":
      return;
    case "opening": {
      // A failed opening has let go of everything itself.
      const database = await phase.done.catch(() => null);
      await database?.close();
      return;
    }
    case "open":
      await phase.database.close();
  }
}
