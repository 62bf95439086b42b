import type { SqlDialect } from "./database.js";
import { rawSql, sql, type Statement } from "./statement.js";

/** What PostgreSQL says its own way; PGlite is PostgreSQL. */
export const postgresDialect: SqlDialect = Object.freeze({
  types: Object.freeze({
    name: `varchar(255) COLLATE "C"`,
    key: `varchar(255) COLLATE "C"`,
    // Not jsonb, which refuses \u0000 and lone surrogates: an app may well print such bytes into a log tail.
    json: "json",
    time: "timestamptz",
  }),
  tableOptions: "",
  schemaName: rawSql("current_schema()"),
  nextRevision: Object.freeze([
    sql`UPDATE dinp_counter SET revision = revision + 1 WHERE id = 1 RETURNING revision`,
  ]),
  announcement: null,
  now: rawSql("clock_timestamp()"),
  inMs: (ms: number): Statement => sql`clock_timestamp() + ${ms}::float8 * interval '1 millisecond'`,
});

/** The statement's text with `$1`, `$2` … where its values go. */
export function postgresText(statement: Statement): string {
  return statement.texts.reduce((text, piece, index) => `${text}$${String(index)}${piece}`);
}
