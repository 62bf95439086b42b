import type { SqlDialect, SqlRow } from "./database.js";
import type { Statement } from "./statement.js";

/** One connection of a driver. Its calls come one after the other; what they reject with is a `SqlFailure`. */
export interface SqlConnection {
  /** In order; without waiting for one before the next is sent where the driver can. Rejects with the first failure. */
  run(statements: readonly Statement[]): Promise<readonly (readonly SqlRow[])[]>;
  /** Sends commands without values, in order. */
  execute(commands: readonly string[]): Promise<void>;
  /** Whether the database kept the transaction. */
  commit(): Promise<boolean>;
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
