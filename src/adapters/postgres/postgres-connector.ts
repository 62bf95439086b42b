import { DinpError } from "@dinp/core";
import type { Client, QueryResult } from "pg";
import {
  postgresDialect,
  postgresText,
  rawSql,
  SqlFailure,
  type PoolBounds,
  type SqlConnection,
  type SqlConnector,
  type SqlDialect,
  type SqlRow,
  type Statement,
} from "../sql/index.js";
import { CHANNEL } from "./change-listener.js";
import { createClient, failureOf, type Driver, type ServerPlace } from "./driver.js";

export interface ConnectorOptions {
  readonly driver: Driver;
  readonly place: ServerPlace;
  readonly bounds: PoolBounds;
}

const VERSION_MIN = 130_000;

const dialect: SqlDialect = Object.freeze({
  ...postgresDialect,
  announcement: rawSql(`NOTIFY ${CHANNEL}`),
});

/** Connections to a PostgreSQL server. They keep no state of a session, so that a pooler may stand in between. */
export function createConnector({ driver, place, bounds }: ConnectorOptions): SqlConnector {
  const limits = [
    `SET LOCAL lock_timeout = ${String(bounds.lockMs)}`,
    `SET LOCAL statement_timeout = ${String(bounds.statementMs)}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${String(bounds.idleTransactionMs)}`,
  ];
  return {
    dialect,
    begin: {
      read: ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ...limits],
      // Not READ WRITE, which a standby refuses with words of its own.
      write: ["BEGIN ISOLATION LEVEL READ COMMITTED", ...limits],
    },
    async connect(signal) {
      // Statements are sent without waiting for the answers to those before.
      const client = createClient(driver, place, { pipeline: true });
      const connection = new PostgresConnection(client);
      const onAbort = (): void => {
        connection.destroy();
      };
      signal.addEventListener("abort", onAbort);
      try {
        await client.connect();
        await assertVersion(connection);
        return connection;
      } catch (error) {
        connection.destroy();
        throw error instanceof DinpError ? error : failureOf(error);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
  };
}

async function assertVersion(connection: SqlConnection): Promise<void> {
  const [rows] = await connection.run([rawSql("SELECT current_setting('server_version_num') AS version")]);
  const version = Number(rows?.[0]?.["version"]);
  if (version >= VERSION_MIN) return;
  throw new DinpError("DINP_INVALID", `The server is PostgreSQL ${String(Math.floor(version / 10_000))}.`, {
    hint: `Use PostgreSQL ${String(VERSION_MIN / 10_000)} or newer.`,
  });
}

type Answer = QueryResult<SqlRow>;
type Rows = readonly (readonly SqlRow[])[];

class PostgresConnection implements SqlConnection {
  readonly #client: Client;
  #isUsable = true;

  constructor(client: Client) {
    this.#client = client;
    client.on("end", () => {
      this.#isUsable = false;
    });
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  async run(statements: readonly Statement[]): Promise<Rows> {
    return rowsOf(await allOf(this.#inOnePiece(() => this.#sendAll(statements))));
  }

  async execute(commands: readonly string[], statements: readonly Statement[] = []): Promise<Rows> {
    const answers = this.#inOnePiece(() => [this.#query(commands.join("; ")), ...this.#sendAll(statements)]);
    return rowsOf((await allOf(answers)).slice(1));
  }

  async commit(statements: readonly Statement[]): Promise<Rows | null> {
    const [running, committing] = this.#inOnePiece(
      () => [this.#sendAll(statements), this.#query("COMMIT")] as const,
    );
    const [ran, committed] = await Promise.allSettled([allOf(running), committing]);
    if (ran.status === "rejected") throw ran.reason;
    if (committed.status === "rejected") throw commitFailure(committed.reason);
    // PostgreSQL answers ROLLBACK, and no error, when the transaction had failed before.
    return committed.value.command === "COMMIT" ? rowsOf(ran.value) : null;
  }

  async end(): Promise<void> {
    this.#isUsable = false;
    await this.#client.end();
  }

  destroy(): void {
    this.#isUsable = false;
    this.#client.connection.stream.destroy();
  }

  /** What `send` sends goes out as one write. */
  #inOnePiece<T>(send: () => T): T {
    const { stream } = this.#client.connection;
    stream.cork();
    try {
      return send();
    } finally {
      stream.uncork();
    }
  }

  #sendAll(statements: readonly Statement[]): readonly Promise<Answer>[] {
    return statements.map((statement) => this.#query(postgresText(statement), statement.values));
  }

  async #query(text: string, values?: Statement["values"]): Promise<Answer> {
    if (!this.#isUsable) throw new SqlFailure("lost", "the connection is gone");
    try {
      return await this.#client.query<SqlRow>(text, values === undefined ? undefined : [...values]);
    } catch (error) {
      const failure = failureOf(error);
      if (["lost", "expired", "read-only"].includes(failure.kind)) this.destroy();
      throw failure;
    }
  }
}

/** All answers; the first failure when one failed, but none before all have come: the next statement is not to meet them. */
async function allOf<T>(answers: readonly Promise<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(answers);
  return settled.map((answer) => {
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  });
}

function rowsOf(answers: readonly Answer[]): Rows {
  return answers.map(({ rows }) => rows);
}

/** What COMMIT itself was answered: only where it was not carried out is it known what that means. */
function commitFailure(error: unknown): SqlFailure {
  const failure = failureOf(error);
  if (["retry", "expired", "lost"].includes(failure.kind)) return failure;
  return new SqlFailure("unknown", failure.message, failure.code, failure.hint);
}
