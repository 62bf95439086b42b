import { DinpError, isDinpError } from "@dinp/core";
import type { SqlDatabase, SqlRow, SqlSession } from "./database.js";
import type { Statement } from "./statement.js";

/** Statements that each run by themselves. */
export function sessionOf(database: SqlDatabase, signal: AbortSignal | undefined): SqlSession {
  const run = (statement: Statement): Promise<readonly SqlRow[]> => database.run(statement, { signal });
  return { run, runAll: (statements) => Promise.all(statements.map(run)) };
}

/** What may be called again whether or not it was done. */
export async function repeatable<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (!isDinpError(error, "DINP_COMMIT_UNKNOWN")) throw error;
    throw new DinpError("DINP_UNAVAILABLE", error.message, { retryable: true, cause: error });
  }
}

export function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new DinpError("DINP_ABORTED", "The call was aborted.", { cause: signal.reason });
}

export function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The store is closed.", { hint: "Open a new store." });
}
