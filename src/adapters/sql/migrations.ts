import { DinpError } from "@dinp/core";
import { randomUUID } from "node:crypto";
import { SqlRetryError, type SqlDatabase, type SqlDialect, type SqlSession } from "./database.js";
import { reindexWhenChanged } from "./reindex.js";
import { integerOf } from "./rows.js";
import { rawSql, sql } from "./statement.js";

/**
 * Each brings the schema up by one version. Its statements may be repeated, and may run in two processes at the same
 * time: a database without transactional DDL keeps some of them when the migration is interrupted, and holds no lock over
 * them. A program of the version before must still be able to work on what they leave: add now what is used, take away
 * in the version after what is not. Never change one that was released: add another.
 */
const migrations: readonly ((dialect: SqlDialect) => readonly string[])[] = [
  ({ types: { name, key, json, time }, tableOptions }) => [
    `CREATE TABLE IF NOT EXISTS dinp_records (
       kind ${name} NOT NULL, record_key ${key} NOT NULL, revision bigint NOT NULL, value ${json} NOT NULL,
       PRIMARY KEY (kind, record_key))${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS dinp_unique_values (
       kind ${name} NOT NULL, name ${name} NOT NULL, value ${key} NOT NULL, record_key ${key} NOT NULL,
       PRIMARY KEY (kind, name, value), UNIQUE (kind, record_key, name))${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS dinp_index_values (
       kind ${name} NOT NULL, name ${name} NOT NULL, value ${key} NOT NULL, record_key ${key} NOT NULL,
       PRIMARY KEY (kind, name, value, record_key), UNIQUE (kind, record_key, name))${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS dinp_change_log (
       revision bigint NOT NULL PRIMARY KEY, committed_at ${time} NOT NULL, changes ${json} NOT NULL)${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS dinp_counter (
       id smallint NOT NULL PRIMARY KEY, revision bigint NOT NULL, log_trimmed bigint NOT NULL)${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS dinp_record_counts (
       kind ${name} NOT NULL PRIMARY KEY, records bigint NOT NULL)${tableOptions}`,
    `CREATE TABLE IF NOT EXISTS dinp_leases (
       name ${key} NOT NULL PRIMARY KEY, holder ${key}, epoch bigint NOT NULL, expires_at ${time} NOT NULL)${tableOptions}`,
    `INSERT INTO dinp_counter (id, revision, log_trimmed)
       SELECT 1, 0, 0 FROM (SELECT 1 AS one) AS once WHERE NOT EXISTS (SELECT 1 FROM dinp_counter WHERE id = 1)`,
  ],
];

/** How often two processes may get in each other's way before one gives up. */
const ATTEMPTS_MAX = 10;

/**
 * Brings the schema and the index tables up to date. Safe to repeat, to interrupt at any moment, and to run in several
 * processes at the same time. Where nothing is to be done it only reads, so that a user without the right to make tables
 * can open a store that another has made.
 */
export async function migrate(database: SqlDatabase, signal: AbortSignal | undefined): Promise<void> {
  const { dialect } = database;
  const { key, time } = dialect.types;
  const found = await database.run(
    sql`SELECT table_name AS name FROM information_schema.tables
        WHERE table_schema = ${dialect.schemaName} AND table_name = 'dinp_schema'`,
    { signal },
  );
  if (found.length === 0) {
    await retried(() =>
      database.run(
        rawSql(`CREATE TABLE IF NOT EXISTS dinp_schema (
          name ${key} NOT NULL PRIMARY KEY, version bigint NOT NULL, detail ${key} NOT NULL,
          applied_at ${time} NOT NULL)${dialect.tableOptions}`),
        { signal },
      ),
    );
  }
  await retried(() => database.write((session) => applyMigrations(session, dialect), { signal }));
  await retried(() => database.write((session) => reindexWhenChanged(session, dialect), { signal }));
}

/** What was lost against another process that does the same. */
async function retried<T>(body: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await body();
    } catch (error) {
      if (!(error instanceof SqlRetryError)) throw error;
      if (attempt < ATTEMPTS_MAX) continue;
      throw new DinpError("DINP_UNAVAILABLE", "The schema cannot be brought up to date: others hold it.", {
        retryable: true,
        hint: "See which transactions of the database hold locks on its tables.",
        cause: error.cause,
      });
    }
  }
}

async function applyMigrations(session: SqlSession, dialect: SqlDialect): Promise<void> {
  const version = await lockVersion(session, dialect);
  if (version > migrations.length + 1) {
    throw new DinpError(
      "DINP_INVALID",
      `The store's schema is version ${String(version)}; this program knows ${String(migrations.length)}.`,
      { hint: "Run the newer version of the program that wrote it, or the one before that." },
    );
  }
  for (const [index, statementsOf] of migrations.entries()) {
    if (index < version) continue;
    for (const text of statementsOf(dialect)) await session.run(rawSql(text));
    await session.run(
      sql`UPDATE dinp_schema SET version = ${index + 1}, applied_at = ${dialect.now}
          WHERE name = 'tables' AND version < ${index + 1}`,
    );
  }
}

/** The version of the tables; on the way, a store that has no identity yet gets one. */
async function lockVersion(session: SqlSession, dialect: SqlDialect): Promise<number> {
  const rows = await session.run(
    sql`SELECT name, version FROM dinp_schema WHERE name IN ('store', 'tables') ORDER BY name FOR UPDATE`,
  );
  const add = (name: string, version: number, detail: string): Promise<unknown> =>
    session.run(
      sql`INSERT INTO dinp_schema (name, version, detail, applied_at)
          VALUES (${name}, ${version}, ${detail}, ${dialect.now})`,
    );
  if (!rows.some((row) => row["name"] === "store")) await add("store", 1, randomUUID());
  const tables = rows.find((row) => row["name"] === "tables");
  if (tables === undefined) await add("tables", 0, "");
  return tables === undefined ? 0 : integerOf(tables, "version");
}
