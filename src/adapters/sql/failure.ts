import { DinpError } from "@dinp/core";
import { SqlRetryError } from "./database.js";

/**
 * `retry`: the transaction lost against another, and nothing of it was kept · `lost`: the connection is gone ·
 * `timeout`: no answer within the time · `unavailable`: the database is in need, or does not let this user in ·
 * `read-only`: it takes no writes · `too-large`: it does not take a statement of that length · `corrupt`: its files are
 * damaged · `unknown`: a commit failed by itself, which may be kept · `unexpected`: all else.
 */
export type SqlFailureKind =
  | "retry"
  | "lost"
  | "timeout"
  | "unavailable"
  | "read-only"
  | "too-large"
  | "corrupt"
  | "unknown"
  | "unexpected";

/**
 * What a driver or a database said, without what the driver keeps with it: statements with their values, connections with
 * their passwords.
 */
export class SqlFailure extends Error {
  override readonly name = "SqlFailure";

  constructor(
    readonly kind: SqlFailureKind,
    message: string,
    /** As the database names it: a SQLSTATE, or MySQL's number; null when it is the driver's. */
    readonly code: string | null = null,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** What leaves a {@link SqlDatabase} for a failure. */
export function errorOf(failure: SqlFailure): Error {
  const { kind, code, hint } = failure;
  const message = `The database failed: ${failure.message}`;
  const more = { cause: failure, details: code === null ? {} : { databaseCode: code } };
  switch (kind) {
    case "retry":
      return new SqlRetryError(message, { cause: failure });
    case "lost":
    case "timeout":
    case "unavailable":
      return new DinpError("DINP_UNAVAILABLE", message, {
        ...more,
        retryable: true,
        hint: hint ?? "See that the database runs, has room on its disk and can be reached.",
      });
    case "read-only":
      return new DinpError("DINP_UNAVAILABLE", message, {
        ...more,
        retryable: true,
        hint: "The address leads to a read-only replica: let it lead to the primary.",
      });
    case "too-large":
      return new DinpError("DINP_TOO_LARGE", message, {
        ...more,
        hint: hint ?? "Commit less at once.",
      });
    case "corrupt":
      return new DinpError("DINP_CORRUPT", message, { ...more, hint: "Restore the store from a backup." });
    case "unknown":
      return new DinpError("DINP_COMMIT_UNKNOWN", message, {
        ...more,
        hint: "Read the records again to see whether it was applied.",
      });
    case "unexpected":
      return new DinpError("DINP_INTERNAL", message, { ...more, ...(hint === undefined ? {} : { hint }) });
  }
}
