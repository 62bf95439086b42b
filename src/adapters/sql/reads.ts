import {
  kinds as allKinds,
  schemaOf,
  type Kind,
  type ListOptions,
  type Revision,
  type Snapshot,
  type Stored,
} from "@dinp/core";
import type { SqlRow, SqlSession } from "./database.js";
import { corrupt, integerOf, recordOf, textOf } from "./rows.js";
import { rawSql, sql, type Statement } from "./statement.js";

const SNAPSHOT_PAGE = 1_000;

/**
 * Reads the kinds within the session's transaction, at the revision that it has; refuses when there are fewer or more
 * records than counted.
 */
export async function readSnapshot(
  session: SqlSession,
  asked: ReadonlySet<Kind>,
  revision: Revision,
): Promise<Snapshot> {
  const counts = new Map<string, number>();
  for (const row of await session.run(sql`SELECT kind, records FROM dinp_record_counts`)) {
    counts.set(textOf(row, "kind"), integerOf(row, "records"));
  }
  const kinds = allKinds.filter((kind) => asked.has(kind));
  const firstPages = await session.runAll(kinds.map((kind) => pageOf(kind, "")));
  const records: Stored[] = [];
  for (const [index, kind] of kinds.entries()) {
    const before = records.length;
    await readKind(session, kind, firstPages[index] ?? [], records);
    const read = records.length - before;
    const counted = counts.get(kind) ?? 0;
    if (read !== counted) {
      throw corrupt(
        `The store has ${String(read)} records of the kind "${kind}" where ${String(counted)} belong.`,
      );
    }
  }
  const ahead = records.find((record) => record.revision > revision);
  if (ahead !== undefined) {
    throw corrupt(`The ${ahead.kind} "${ahead.key}" is of a revision after the store's own.`);
  }
  return { revision, records };
}

function pageOf(kind: Kind, after: string): Statement {
  return sql`SELECT record_key, revision, value FROM dinp_records
             WHERE kind = ${kind} AND record_key > ${after} ORDER BY record_key LIMIT ${SNAPSHOT_PAGE}`;
}

async function readKind(
  session: SqlSession,
  kind: Kind,
  firstPage: readonly SqlRow[],
  records: Stored[],
): Promise<void> {
  for (let rows = firstPage; ;) {
    for (const row of rows) records.push(recordOf(kind, row));
    const last = records.at(-1);
    if (last === undefined || rows.length < SNAPSHOT_PAGE) return;
    rows = await session.run(pageOf(kind, last.key));
  }
}

export async function readRecord<K extends Kind>(
  session: SqlSession,
  kind: K,
  key: string,
): Promise<Stored<K> | null> {
  const [row] = await session.run(
    sql`SELECT record_key, revision, value FROM dinp_records WHERE kind = ${kind} AND record_key = ${key}`,
  );
  return row === undefined ? null : recordOf(kind, row);
}

export async function readUnique<K extends Kind>(
  session: SqlSession,
  kind: K,
  unique: string,
  value: string,
): Promise<Stored<K> | null> {
  const [row] = await session.run(
    sql`SELECT r.record_key, r.revision, r.value FROM dinp_unique_values u
        JOIN dinp_records r ON r.kind = u.kind AND r.record_key = u.record_key
        WHERE u.kind = ${kind} AND u.name = ${unique} AND u.value = ${value}`,
  );
  if (row === undefined) return null;
  const record = recordOf(kind, row);
  if (schemaOf(kind).unique[unique]?.(record.value) === value) return record;
  throw corrupt(`The ${kind} "${record.key}" does not have the ${unique} that leads to it.`);
}

/** One page of a list. */
export async function readPage<K extends Kind>(
  session: SqlSession,
  kind: K,
  options: Pick<ListOptions, "index" | "reverse">,
  after: string | null,
  limit: number,
): Promise<readonly Stored<K>[]> {
  const { index, reverse = false } = options;
  const order = rawSql(reverse ? "DESC" : "ASC");
  const from =
    index === undefined
      ? sql`dinp_records r WHERE r.kind = ${kind}`
      : sql`dinp_index_values i JOIN dinp_records r ON r.kind = i.kind AND r.record_key = i.record_key
            WHERE i.kind = ${kind} AND i.name = ${index.name} AND i.value = ${index.value}`;
  const column = rawSql(index === undefined ? "r.record_key" : "i.record_key");
  const start = after === null ? sql`` : sql` AND ${column} ${rawSql(reverse ? "<" : ">")} ${after}`;
  const rows = await session.run(
    sql`SELECT r.record_key, r.revision, r.value FROM ${from}${start} ORDER BY ${column} ${order} LIMIT ${limit}`,
  );
  return rows.map((row) => recordOf(kind, row));
}
