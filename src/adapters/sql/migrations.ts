import { DinpError, kinds, kindSchemas, schemaOf, type Kind } from "@dinp/core";
import type { SqlDatabase, SqlDialect, SqlSession } from "./database.js";
import { integerOf, recordOf, textOf } from "./rows.js";
import { rawSql, rowsSql, sql, type SqlValue } from "./statement.js";

/**
 * Each brings the schema up by one version. Its statements may be repeated, because a database without transactional
 * DDL keeps some of them when the migration is interrupted. Never change one that was released: add another.
 */
const migrations: readonly ((dialect: SqlDialect) => readonly string[])[] = [
  ({ types: { key, json, time } }) => [
    `CREATE TABLE IF NOT EXISTS dinp_records (
       kind ${key} NOT NULL, record_key ${key} NOT NULL, revision bigint NOT NULL, value ${json} NOT NULL,
       PRIMARY KEY (kind, record_key))`,
    `CREATE TABLE IF NOT EXISTS dinp_unique_values (
       kind ${key} NOT NULL, name ${key} NOT NULL, value ${key} NOT NULL, record_key ${key} NOT NULL,
       PRIMARY KEY (kind, name, value), UNIQUE (kind, record_key, name))`,
    `CREATE TABLE IF NOT EXISTS dinp_index_values (
       kind ${key} NOT NULL, name ${key} NOT NULL, value ${key} NOT NULL, record_key ${key} NOT NULL,
       PRIMARY KEY (kind, name, value, record_key), UNIQUE (kind, record_key, name))`,
    `CREATE TABLE IF NOT EXISTS dinp_change_log (
       revision bigint NOT NULL PRIMARY KEY, committed_at ${time} NOT NULL, changes ${json} NOT NULL)`,
    `CREATE TABLE IF NOT EXISTS dinp_counter (
       id smallint NOT NULL PRIMARY KEY, revision bigint NOT NULL, log_trimmed bigint NOT NULL)`,
    `CREATE TABLE IF NOT EXISTS dinp_record_counts (kind ${key} NOT NULL PRIMARY KEY, records bigint NOT NULL)`,
    `CREATE TABLE IF NOT EXISTS dinp_leases (
       name ${key} NOT NULL PRIMARY KEY, holder ${key}, epoch bigint NOT NULL, expires_at ${time} NOT NULL)`,
    `INSERT INTO dinp_counter (id, revision, log_trimmed)
       SELECT 1, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM dinp_counter WHERE id = 1)`,
  ],
];

const REINDEX_PAGE = 500;

/** Brings the schema and the index tables up to date; safe to repeat and to interrupt at any moment. */
export async function migrate(database: SqlDatabase, signal: AbortSignal | undefined): Promise<void> {
  const { key, time } = database.dialect.types;
  await database.run(
    rawSql(`CREATE TABLE IF NOT EXISTS dinp_schema (
      name ${key} NOT NULL PRIMARY KEY, version bigint NOT NULL, detail ${key} NOT NULL, applied_at ${time} NOT NULL)`),
    { signal },
  );
  await database.write((session) => applyMigrations(session, database.dialect), { signal });
  await database.write((session) => reindexWhenChanged(session, database.dialect), { signal });
}

async function applyMigrations(session: SqlSession, dialect: SqlDialect): Promise<void> {
  const [row] = await session.run(sql`SELECT version FROM dinp_schema WHERE name = 'tables' FOR UPDATE`);
  if (row === undefined) {
    await session.run(
      sql`INSERT INTO dinp_schema (name, version, detail, applied_at) VALUES ('tables', 0, '', ${dialect.now})`,
    );
  }
  const version = row === undefined ? 0 : integerOf(row, "version");
  if (version > migrations.length) {
    throw new DinpError(
      "DINP_INVALID",
      `The store's schema is version ${String(version)}; this program knows ${String(migrations.length)}.`,
      { hint: "Run the newer version of the program that wrote it." },
    );
  }
  for (const [index, statementsOf] of migrations.entries()) {
    if (index < version) continue;
    for (const text of statementsOf(dialect)) await session.run(rawSql(text));
    await session.run(
      sql`UPDATE dinp_schema SET version = ${index + 1}, applied_at = ${dialect.now} WHERE name = 'tables'`,
    );
  }
}

/** Makes a new kind known, and builds unique and index values anew when this program indexes kinds in another way than the one before it. */
async function reindexWhenChanged(session: SqlSession, dialect: SqlDialect): Promise<void> {
  const wanted = new Map(kinds.map((kind) => [kind, indexDescription(kind)] as const));
  const rows = await session.run(
    sql`SELECT name, detail FROM dinp_schema WHERE name LIKE 'kind %' FOR UPDATE`,
  );
  const present = new Map(rows.map((row) => [textOf(row, "name"), textOf(row, "detail")]));
  for (const [kind, description] of wanted) {
    const name = `kind ${kind}`;
    if (present.get(name) === description) continue;
    await session.run(
      sql`INSERT INTO dinp_record_counts (kind, records)
          SELECT ${kind}, 0 WHERE NOT EXISTS (SELECT 1 FROM dinp_record_counts WHERE kind = ${kind})`,
    );
    await reindexKind(session, kind);
    await session.run(sql`DELETE FROM dinp_schema WHERE name = ${name}`);
    await session.run(
      sql`INSERT INTO dinp_schema (name, version, detail, applied_at) VALUES (${name}, 1, ${description}, ${dialect.now})`,
    );
  }
}

function indexDescription(kind: Kind): string {
  const { unique, indexes } = kindSchemas[kind];
  return `unique: ${Object.keys(unique).sort().join(" ")}; indexes: ${Object.keys(indexes).sort().join(" ")}`;
}

async function reindexKind(session: SqlSession, kind: Kind): Promise<void> {
  const schema = schemaOf(kind);
  await session.run(sql`DELETE FROM dinp_unique_values WHERE kind = ${kind}`);
  await session.run(sql`DELETE FROM dinp_index_values WHERE kind = ${kind}`);
  for (let after = ""; ;) {
    const rows = await session.run(
      sql`SELECT record_key, revision, value FROM dinp_records
          WHERE kind = ${kind} AND record_key > ${after} ORDER BY record_key LIMIT ${REINDEX_PAGE}`,
    );
    const records = rows.map((row) => recordOf(kind, row));
    const valuesOf = (readers: typeof schema.unique): SqlValue[][] =>
      records.flatMap(({ key, value }) =>
        Object.entries(readers)
          .map(([name, read]) => [kind, name, read(value), key])
          .filter((row) => row[2] !== null),
      );
    await insertRows(session, "dinp_unique_values", valuesOf(schema.unique));
    await insertRows(session, "dinp_index_values", valuesOf(schema.indexes));
    const last = records.at(-1);
    if (last === undefined || records.length < REINDEX_PAGE) return;
    after = last.key;
  }
}

async function insertRows(session: SqlSession, table: string, rows: readonly SqlValue[][]): Promise<void> {
  if (rows.length === 0) return;
  await session.run(
    sql`INSERT INTO ${rawSql(table)} (kind, name, value, record_key) VALUES ${rowsSql(rows)}`,
  );
}
