import type { SqlDialect, SqlRow } from "./database.js";
import type { Statement } from "./statement.js";

/** One connection of a driver. Its calls come one after the other; what they reject with is a `SqlFailure`. */
export interface SqlConnection {
  /** In order and in one trip, as far as the driver can. Rejects with the first failure. */
  run(statements: readonly Statement[]): Promise<readonly (readonly SqlRow[])[]>;
  /** Commands without values, and statements after them, as `run` does; gives the rows of the statements. */
  execute(
    commands: readonly string[],
    statements?: readonly Statement[],
  ): Promise<readonly (readonly SqlRow[])[]>;
  /**
   * The statements, the last one not a query, and the transaction's commit, as `run` does; null when the database rolled it back. With a
   * failure of the kind `lost` or `unknown` it may be kept; with any other it is rolled back.
   */
  commit(statements: readonly Statement[]): Promise<readonly (readonly SqlRow[])[] | null>;
  /** False when the connection is known to be gone. */
  readonly isUsable: boolean;
  /** Ends it in order. */
  end(): Promise<void>;
  /** Cuts it at once. Idempotent. */
  destroy(): void;
}

/** Makes connections. */
export interface SqlConnector {
  readonly dialect: SqlDialect;
  /** What begins a transaction, with its bounds. */
  readonly begin: { readonly read: readonly string[]; readonly write: readonly string[] };
  /** Ready for use. Rejects with a `SqlFailure` or a `DinpError`; leaves nothing behind when the signal aborts. */
  connect(signal: AbortSignal): Promise<SqlConnection>;
}
