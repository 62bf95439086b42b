import { kinds, kindSchemas, schemaOf, type Kind } from "@dinp/core";
import type { SqlDialect, SqlSession } from "./database.js";
import { integerOf, recordOf, textOf } from "./rows.js";
import { rawSql, sql, type SqlValue } from "./statement.js";
import { insertion } from "./values.js";

const PAGE = 500;

/**
 * To be raised by the version that first finds records by a name that the version before did keep: what the one before
 * that wrote meanwhile lacks it. A name that was given up does not come back with another meaning.
 */
const GENERATION = 1;

/**
 * Makes new kinds known, and builds unique and index values anew where this program finds records by values that were not
 * kept so far. Names that it does not know are left to the newer program that does.
 */
export async function reindexWhenChanged(session: SqlSession, dialect: SqlDialect): Promise<void> {
  const rows = await session.run(
    sql`SELECT name, version, detail FROM dinp_schema WHERE name LIKE 'kind %' ORDER BY name FOR UPDATE`,
  );
  const present = new Map(rows.map((row) => [textOf(row, "name"), row]));
  for (const kind of kinds) {
    const row = present.get(`kind ${kind}`);
    const kept = row === undefined ? new Set<string>() : namesIn(textOf(row, "detail"));
    const wanted = namesOf(kind);
    const isNew = row === undefined || integerOf(row, "version") < GENERATION;
    if (!isNew && wanted.every((name) => kept.has(name))) continue;
    await session.run(
      sql`INSERT INTO dinp_record_counts (kind, records)
          SELECT ${kind}, 0 FROM (SELECT 1 AS one) AS once
          WHERE NOT EXISTS (SELECT 1 FROM dinp_record_counts WHERE kind = ${kind})`,
    );
    await reindexKind(session, kind);
    await session.run(sql`DELETE FROM dinp_schema WHERE name = ${`kind ${kind}`}`);
    await session.run(
      sql`INSERT INTO dinp_schema (name, version, detail, applied_at)
          VALUES (${`kind ${kind}`}, ${GENERATION}, ${detailOf([...kept, ...wanted])}, ${dialect.now})`,
    );
  }
}

/** What a kind's records are found by. */
function namesOf(kind: Kind): readonly string[] {
  const { unique, indexes } = kindSchemas[kind];
  return [
    ...Object.keys(unique).map((name) => `unique ${name}`),
    ...Object.keys(indexes).map((name) => `index ${name}`),
  ];
}

function detailOf(names: readonly string[]): string {
  return [...new Set(names)].sort().join("; ");
}

function namesIn(detail: string): ReadonlySet<string> {
  return new Set(detail.split("; "));
}

async function reindexKind(session: SqlSession, kind: Kind): Promise<void> {
  const schema = schemaOf(kind);
  for (const [table, readers] of [
    ["dinp_unique_values", schema.unique],
    ["dinp_index_values", schema.indexes],
  ] as const) {
    for (const name of Object.keys(readers))
      await session.run(sql`DELETE FROM ${rawSql(table)} WHERE kind = ${kind} AND name = ${name}`);
  }
  for (let after = ""; ;) {
    // Locked: a commit of another process that changes one of them waits, and finds the new values.
    const rows = await session.run(
      sql`SELECT record_key, revision, value FROM dinp_records
          WHERE kind = ${kind} AND record_key > ${after} ORDER BY record_key LIMIT ${PAGE} FOR UPDATE`,
    );
    const records = rows.map((row) => recordOf(kind, row));
    const valuesOf = (readers: typeof schema.unique): SqlValue[][] =>
      records.flatMap(({ key, value }) =>
        Object.entries(readers)
          .map(([name, read]) => [kind, name, read(value), key])
          .filter((row) => row[2] !== null),
      );
    const unique = valuesOf(schema.unique);
    const indexes = valuesOf(schema.indexes);
    if (unique.length > 0) await session.run(insertion("dinp_unique_values", unique));
    if (indexes.length > 0) await session.run(insertion("dinp_index_values", indexes));
    const last = records.at(-1);
    if (last === undefined || records.length < PAGE) return;
    after = last.key;
  }
}
