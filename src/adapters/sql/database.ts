import type { Statement } from "./statement.js";

/** One row of a result, by column name. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Runs statements, within a transaction or each by itself. */
export interface SqlSession {
  run(statement: Statement): Promise<readonly SqlRow[]>;
  /** In order, without waiting for one before the next is sent where the database allows it; the results of each. */
  runAll(statements: readonly Statement[]): Promise<readonly (readonly SqlRow[])[]>;
}

/** What the databases say differently. */
export interface SqlDialect {
  readonly types: {
    /** The name of a kind, unique value or index: as `key`, but up to 64 characters. */
    readonly name: string;
    /** Printable ASCII up to 255 characters, compared byte by byte; spaces at the end count. */
    readonly key: string;
    /** Any JSON text, kept as it was written: also with `\u0000` and lone surrogates in its strings. */
    readonly json: string;
    readonly time: string;
  };
  /** What stands at the end of `CREATE TABLE`. */
  readonly tableOptions: string;
  /** The schema (in MySQL: the database) that tables without one are in. */
  readonly schemaName: Statement;
  /** Raises the counter; the last statement gives the new `revision`. */
  readonly nextRevision: readonly Statement[];
  /** Tells other processes of a commit, when it is made; null where the database cannot. */
  readonly announcement: Statement | null;
  /** The database's present time, even within a transaction. */
  readonly now: Statement;
  /** The database's time in `ms` milliseconds. */
  inMs(ms: number): Statement;
}

/** What a transaction is to write, after what it has read. */
export interface Judgement<T> {
  /** In order, the last one not a query; none: the transaction keeps nothing. */
  readonly statements: readonly Statement[];
  /** What it has come to, from the rows of each statement. */
  readonly result: (rows: readonly (readonly SqlRow[])[]) => T;
}

/**
 * A failure that a transaction may be repeated after (a deadlock, a serialisation failure, a row that another
 * transaction inserted first). Nothing of the transaction was kept.
 */
export class SqlRetryError extends Error {
  override readonly name = "SqlRetryError";
}

export interface SqlCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * A database for {@link SqlStateStore}. Failures are `DinpError`s: `DINP_UNAVAILABLE` when nothing was kept,
 * `DINP_COMMIT_UNKNOWN` when it is not known, `DINP_ABORTED` when the signal aborted before the commit was sent,
 * `DINP_CLOSED` after `close()`; or a {@link SqlRetryError}.
 */
export interface SqlDatabase {
  readonly dialect: SqlDialect;
  /** One statement by itself, which may be repeated. */
  run(statement: Statement, options?: SqlCallOptions): Promise<readonly SqlRow[]>;
  /** All that `body` reads is of one moment. */
  read<T>(body: (session: SqlSession) => Promise<T>, options?: SqlCallOptions): Promise<T>;
  /**
   * Kept as a whole when `body` resolves, and not at all when it rejects; but statements that change tables are kept by
   * themselves, with all before them, where the database does so.
   */
  write<T>(body: (session: SqlSession) => Promise<T>, options?: SqlCallOptions): Promise<T>;
  /**
   * A transaction that first reads and then writes, each in one trip to the database where it allows it: what `judge` makes of the
   * rows that were read is kept as a whole, and nothing when it throws. Aborts until the writes are sent.
   */
  exchange<T>(
    reads: readonly Statement[],
    judge: (rows: readonly (readonly SqlRow[])[]) => Judgement<T>,
    options?: SqlCallOptions,
  ): Promise<T>;
  /** Waits for what is running, within a bound, and lets the database go. Idempotent. */
  close(): Promise<void>;
}
