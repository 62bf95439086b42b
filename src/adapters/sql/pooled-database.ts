import { DinpError } from "@dinp/core";
import { abortedError, bounded } from "./bounded.js";
import { ConnectionPool } from "./connection-pool.js";
import type { SqlConnection, SqlConnector } from "./connection.js";
import type { Judgement, SqlCallOptions, SqlDatabase, SqlDialect, SqlRow, SqlSession } from "./database.js";
import { errorOf, SqlFailure, type SqlFailureKind } from "./failure.js";
import type { PoolBounds } from "./pool-bounds.js";
import type { Statement } from "./statement.js";

export interface PooledDatabaseOptions {
  readonly connector: SqlConnector;
  readonly bounds: PoolBounds;
  /** Called with each new connection before anything else uses it; one that it rejects is not used. */
  readonly verify: (session: SqlSession) => Promise<void>;
  /** Called once, after the pool is closed. */
  readonly onClosed: () => Promise<void>;
}

type Rows = readonly (readonly SqlRow[])[];

/** Failures after which a commit that was sent may have been kept. */
const MAYBE_KEPT: ReadonlySet<SqlFailureKind> = new Set(["lost", "timeout", "unknown"]);

/** How long `close()` waits for calls that were made before it. */
const CLOSE_MS_MAX = 10_000;

/**
 * A database server as a {@link SqlDatabase}, over a bounded number of connections. Every statement is bounded: a connection
 * that does not answer in time, or whose call is aborted, is cut, and the server rolls its transaction back.
 */
export class PooledDatabase implements SqlDatabase {
  readonly dialect: SqlDialect;
  readonly #options: PooledDatabaseOptions;
  readonly #pool: ConnectionPool;
  #closing: Promise<void> | null = null;

  constructor(options: PooledDatabaseOptions) {
    this.dialect = options.connector.dialect;
    this.#options = options;
    this.#pool = new ConnectionPool({ ...options.bounds, connect: (signal) => this.#connect(signal) });
  }

  run(statement: Statement, { signal }: SqlCallOptions = {}): Promise<readonly SqlRow[]> {
    return this.#use(
      signal,
      async (call) => (await call.run([statement]))[0] ?? [],
      (_call, rows) => Promise.resolve(rows),
    );
  }

  read<T>(body: (session: SqlSession) => Promise<T>, { signal }: SqlCallOptions = {}): Promise<T> {
    const { begin } = this.#options.connector;
    return this.#transaction(signal, begin.read, body, (call) => call.rollBack());
  }

  write<T>(body: (session: SqlSession) => Promise<T>, { signal }: SqlCallOptions = {}): Promise<T> {
    const { begin } = this.#options.connector;
    return this.#transaction(signal, begin.write, body, (call) => call.commit());
  }

  exchange<T>(
    reads: readonly Statement[],
    judge: (rows: Rows) => Judgement<T>,
    { signal }: SqlCallOptions = {},
  ): Promise<T> {
    const { begin } = this.#options.connector;
    return this.#use(
      signal,
      (call) => call.begin(begin.write, reads),
      async (call, rows) => {
        const { statements, result } = await call.orRollBack(() => judge(rows));
        if (statements.length > 0) return result(await call.commit(statements));
        await call.rollBack();
        return result([]);
      },
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#pool.close(CLOSE_MS_MAX).then(this.#options.onClosed);
    return this.#closing;
  }

  #transaction<T>(
    signal: AbortSignal | undefined,
    begin: readonly string[],
    body: (session: SqlSession) => Promise<T>,
    end: (call: Call) => Promise<unknown>,
  ): Promise<T> {
    return this.#use(
      signal,
      (call) => call.begin(begin),
      async (call) => {
        const result = await call.orRollBack(() => body(call.session));
        await end(call);
        return result;
      },
    );
  }

  /** @param first What may be repeated on another connection, when the one that it was tried on had been lost unseen. */
  async #use<F, T>(
    signal: AbortSignal | undefined,
    first: (call: Call) => Promise<F>,
    rest: (call: Call, result: F) => Promise<T>,
  ): Promise<T> {
    const { statementMs } = this.#options.bounds;
    try {
      for (;;) {
        const { connection, isUsed } = await this.#pool.acquire(signal);
        try {
          const call = new Call(connection, statementMs, signal);
          let result: F;
          try {
            result = await first(call);
          } catch (error) {
            if (!isUsed || !(error instanceof SqlFailure) || error.kind !== "lost") throw error;
            connection.destroy();
            this.#pool.discardIdle();
            continue;
          }
          return await rest(call, result);
        } finally {
          this.#pool.release(connection);
        }
      }
    } catch (error) {
      throw error instanceof SqlFailure ? errorOf(error) : error;
    }
  }

  async #connect(signal: AbortSignal): Promise<SqlConnection> {
    const { connector, bounds, verify } = this.#options;
    const connection = await connector.connect(signal);
    try {
      await verify(new Call(connection, bounds.statementMs, signal).session);
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }
}

/** What one call does on the connection that is its own meanwhile. */
class Call {
  readonly session: SqlSession = {
    run: async (statement) => (await this.run([statement]))[0] ?? [],
    runAll: (statements) => this.run(statements),
  };
  readonly #connection: SqlConnection;
  readonly #statementMs: number;
  readonly #signal: AbortSignal | undefined;

  constructor(connection: SqlConnection, statementMs: number, signal: AbortSignal | undefined) {
    this.#connection = connection;
    this.#statementMs = statementMs;
    this.#signal = signal;
  }

  run(statements: readonly Statement[]): Promise<Rows> {
    return this.#bounded(() => this.#connection.run(statements), this.#signal);
  }

  /** Begins a transaction, and reads. */
  begin(commands: readonly string[], reads: readonly Statement[] = []): Promise<Rows> {
    return this.orRollBack(() =>
      this.#bounded(() => this.#connection.execute(commands, reads), this.#signal),
    );
  }

  /** What `work` gives; when it fails, the transaction is rolled back. */
  async orRollBack<T>(work: () => Promise<T> | T): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.rollBack();
      throw error;
    }
  }

  /** The last statements of the transaction, and its commit. */
  async commit(statements: readonly Statement[] = []): Promise<Rows> {
    if (this.#signal?.aborted === true) {
      await this.rollBack();
      throw abortedError(this.#signal);
    }
    if (!this.#connection.isUsable) throw new SqlFailure("lost", "the connection is gone");
    let rows: Rows | null;
    try {
      rows = await this.#bounded(() => this.#connection.commit(statements));
    } catch (error) {
      if (error instanceof SqlFailure && error.kind === "expired")
        throw new SqlFailure("retry", error.message);
      if (error instanceof SqlFailure && !MAYBE_KEPT.has(error.kind)) throw error;
      this.#connection.destroy();
      throw commitUnknown(error);
    }
    if (rows === null) throw new SqlFailure("unexpected", "it rolled the transaction back");
    return rows;
  }

  /** Never rejects: a connection that cannot is cut, which does the same. */
  async rollBack(): Promise<void> {
    if (!this.#connection.isUsable) return;
    try {
      await this.#bounded(() => this.#connection.execute(["ROLLBACK"]));
    } catch {
      this.#connection.destroy();
    }
  }

  async #bounded<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) throw abortedError(signal);
    return bounded(work(), {
      ms: this.#statementMs,
      signal,
      onGivenUp: () => {
        this.#connection.destroy();
      },
    });
  }
}

function commitUnknown(error: unknown): DinpError {
  const reason = error instanceof Error ? error.message : String(error);
  return new DinpError(
    "DINP_COMMIT_UNKNOWN",
    `The connection failed while the commit was on its way: ${reason}.`,
    {
      hint: "Read the records again to see whether it was applied.",
      cause: error,
    },
  );
}
