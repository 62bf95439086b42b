import type { SqlFailureKind } from "./failure.js";

/** Classes of SQLSTATE in which the database is in need, not the statement wrong (PostgreSQL, appendix A). */
const UNAVAILABLE_CLASSES: ReadonlySet<string> = new Set(["08", "28", "3D", "53", "55", "57", "58"]);

const kinds: Readonly<Record<string, SqlFailureKind>> = {
  // A log without a revision: what the commit had read does not hold any more (see `logInsertion`).
  "23502": "retry",
  "23505": "retry",
  "40001": "retry",
  "40P01": "retry",
  // Another process makes the same type or table: `IF NOT EXISTS` does not wait for one that is not committed yet.
  "42710": "retry",
  "42P07": "retry",
  "55P03": "retry",
  "25006": "read-only",
  "25P03": "expired",
  "42501": "unavailable",
  XX001: "corrupt",
  XX002: "corrupt",
};

/** What a SQLSTATE of PostgreSQL means here. */
export function postgresFailureKind(state: string): SqlFailureKind {
  return kinds[state] ?? (UNAVAILABLE_CLASSES.has(state.slice(0, 2)) ? "unavailable" : "unexpected");
}

/** The SQLSTATE of anything that was thrown; null when it has none. */
export function sqlStateOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  return typeof error.code === "string" && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}
