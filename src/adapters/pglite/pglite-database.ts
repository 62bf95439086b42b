import { DinpError, messageOf, type Clock } from "@dinp/core";
import { setImmediate as nextLoop } from "node:timers/promises";
import {
  errorOf,
  postgresDialect,
  postgresFailureKind,
  rawSql,
  SqlFailure,
  sqlStateOf,
  type Judgement,
  type SqlCallOptions,
  type SqlDatabase,
  type SqlRow,
  type SqlSession,
  type Statement,
} from "../sql/index.js";
import type { OpenedPglite } from "./driver.js";
import { PreparedStatements } from "./prepared-statements.js";
import { rowsOf } from "./protocol-rows.js";
import { Turns } from "./turns.js";

export interface PgliteDatabaseOptions extends OpenedPglite {
  readonly clock: Pick<Clock, "sleep">;
  /** Called once, after the database is closed. */
  readonly onClosed: () => Promise<void>;
}

/** How long `close()` waits for calls that were made before it. */
const CLOSE_MS_MAX = 10_000;
/** PGlite computes on this thread: after so long, others get a turn of the event loop. */
const BUSY_MS_MAX = 8;

/** One PGlite as a {@link SqlDatabase}: one transaction at a time, the others wait in line. */
export class PgliteDatabase implements SqlDatabase {
  readonly dialect = postgresDialect;
  readonly #options: PgliteDatabaseOptions;
  readonly #turns = new Turns();
  readonly #prepared: PreparedStatements;
  readonly #session: SqlSession = {
    run: (statement) => this.#query(statement),
    runAll: async (statements) => {
      const results: (readonly SqlRow[])[] = [];
      for (const statement of statements) results.push(await this.#query(statement));
      return results;
    },
  };
  #busyMs = 0;
  #isBroken = false;
  #closing: Promise<void> | null = null;

  constructor(options: PgliteDatabaseOptions) {
    this.#options = options;
    this.#prepared = new PreparedStatements(options.serialize);
  }

  run(statement: Statement, { signal }: SqlCallOptions = {}): Promise<readonly SqlRow[]> {
    return this.#turns.run(() => this.#query(statement), signal);
  }

  read<T>(body: (session: SqlSession) => Promise<T>, { signal }: SqlCallOptions = {}): Promise<T> {
    return this.#turns.run(
      () => this.#transaction(rawSql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), body),
      signal,
    );
  }

  write<T>(body: (session: SqlSession) => Promise<T>, { signal }: SqlCallOptions = {}): Promise<T> {
    return this.#turns.run(
      () => this.#transaction(rawSql("BEGIN ISOLATION LEVEL READ COMMITTED"), body),
      signal,
    );
  }

  exchange<T>(
    reads: readonly Statement[],
    judge: (rows: readonly (readonly SqlRow[])[]) => Judgement<T>,
    options?: SqlCallOptions,
  ): Promise<T> {
    return this.write(async (session) => {
      const { statements, result } = judge(await session.runAll(reads));
      return result(await session.runAll(statements));
    }, options);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { pglite, clock, onClosed } = this.#options;
    const timer = new AbortController();
    const drained = this.#turns.close().finally(() => {
      timer.abort();
    });
    try {
      await Promise.race([
        drained,
        clock.sleep(CLOSE_MS_MAX, { signal: timer.signal }).catch(() => undefined),
      ]);
      this.#turns.refuseWaiting();
      await drained;
      // One that broke down must not write a checkpoint of what it has in memory.
      if (!this.#isBroken) await pglite.close();
    } catch (error) {
      throw failure(error);
    } finally {
      await onClosed();
    }
  }

  async #transaction<T>(begin: Statement, body: (session: SqlSession) => Promise<T>): Promise<T> {
    await this.#query(begin);
    let result: T;
    try {
      result = await body(this.#session);
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
    await this.#commit();
    return result;
  }

  async #commit(): Promise<void> {
    let command: string | undefined;
    try {
      const [result] = await this.#options.pglite.exec("COMMIT");
      command = result?.command;
    } catch (error) {
      throw this.#commitUnknown(messageOf(error), error);
    }
    // PostgreSQL answers ROLLBACK, and no error, when the transaction had failed before.
    if (command === "ROLLBACK") throw failure(new Error("The transaction was rolled back."));
    if (command !== "COMMIT") throw this.#commitUnknown("the database gave no answer");
  }

  #commitUnknown(reason: string, cause?: unknown): DinpError {
    this.#isBroken = true;
    return new DinpError("DINP_COMMIT_UNKNOWN", `The commit failed on its way: ${reason}.`, {
      hint: "Restart the process, and read the records again to see whether it was applied.",
      cause,
    });
  }

  async #rollBack(): Promise<void> {
    try {
      await this.#options.pglite.exec("ROLLBACK");
    } catch {
      // The reason of the rollback matters more. Nothing can be kept by a connection whose state is unknown.
      this.#isBroken = true;
    }
  }

  async #query(statement: Statement): Promise<readonly SqlRow[]> {
    if (this.#busyMs > BUSY_MS_MAX) {
      await nextLoop();
      this.#busyMs = 0;
    }
    const start = performance.now();
    try {
      return await this.#answer(statement);
    } finally {
      this.#busyMs += performance.now() - start;
    }
  }

  /**
   * The whole answer of a statement. PGlite swallows what WebAssembly throws (a stack overflow, no memory) and returns
   * less than all; PostgreSQL ends each answer by naming the command that it completed.
   */
  async #answer(statement: Statement): Promise<readonly SqlRow[]> {
    if (this.#isBroken) throw brokenError();
    const { pglite } = this.#options;
    let rows: readonly SqlRow[] | null;
    try {
      const message = this.#prepared.messageOf(statement);
      rows = rowsOf(await pglite.execProtocolStream(message), pglite.parsers);
    } catch (error) {
      this.#prepared.forget(statement);
      const state = sqlStateOf(error);
      if (state !== null && !LOST_STATES.has(state)) throw failure(error);
      this.#isBroken = true;
      throw brokenError(error);
    }
    if (rows !== null) return rows;
    this.#isBroken = true;
    throw brokenError();
  }
}

function brokenError(cause?: unknown): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The database broke down in the middle of a statement.", {
    cause,
    hint: "Restart the process: the database repairs itself when it is opened, and keeps what was acknowledged.",
  });
}

/** The statement or its portal is gone, or a message: an exception was swallowed between two of PGlite's messages. */
const LOST_STATES: ReadonlySet<string> = new Set(["08P01", "26000", "34000"]);

function failure(error: unknown): Error {
  const state = sqlStateOf(error);
  if (state === null) return errorOf(new SqlFailure("lost", messageOf(error), null, "Restart the process."));
  const hint = "See that the disk has space left.";
  return errorOf(new SqlFailure(postgresFailureKind(state), messageOf(error), state, hint));
}
