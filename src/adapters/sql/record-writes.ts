import type { Kind, PreparedWrite, Revision } from "@dinp/core";
import { idOf, isPut, type Change, type Put } from "./change.js";
import { listSql, recordLists, ROWS_MAX } from "./conditions.js";
import { chunks } from "./rows.js";
import { joinSql, rawSql, sql, type Statement } from "./statement.js";

/** Databases bound the length of one statement (MySQL: `max_allowed_packet`). */
const CHARACTERS_MAX = 512 * 1024;

/** The revision that this transaction has taken. */
const taken = rawSql("(SELECT revision FROM dinp_counter WHERE id = 1)");

/** The statements that change the records and their counts, once the transaction has taken its revision. */
export function recordWrites(
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
): readonly Statement[] {
  const isPresent = (change: PreparedWrite): boolean => present.has(idOf(change));
  const puts = changes.filter(isPut);
  return [
    ...puts.filter(isPresent).map(
      ({ kind, key, text }) =>
        sql`UPDATE dinp_records SET revision = ${taken}, value = ${text}
            WHERE kind = ${kind} AND record_key = ${key}`,
    ),
    ...recordLists(changes.filter((change) => !isPut(change))).map(
      (records) => sql`DELETE FROM dinp_records WHERE ${records}`,
    ),
    ...insertions(puts.filter((put) => !isPresent(put))),
    ...countUpdates(changes, present),
  ];
}

function insertions(added: readonly Put[]): readonly Statement[] {
  return chunks(added, ROWS_MAX, { sizeOf: ({ text }) => text.length, max: CHARACTERS_MAX }).map((chunk) => {
    const rows = chunk.map(({ kind, key, text }) => sql`(${kind}, ${key}, ${taken}, ${text})`);
    return sql`INSERT INTO dinp_records (kind, record_key, revision, value) VALUES ${joinSql(rows)}`;
  });
}

function countUpdates(
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
): readonly Statement[] {
  const deltas = new Map<Kind, number>();
  for (const change of changes) {
    const delta = isPut(change) ? (present.has(idOf(change)) ? 0 : 1) : -1;
    deltas.set(change.kind, (deltas.get(change.kind) ?? 0) + delta);
  }
  const changed = [...deltas].filter(([, delta]) => delta !== 0);
  if (changed.length === 0) return [];
  const cases = changed.map(([kind, delta]) => sql`WHEN ${kind} THEN ${rawSql(String(delta))}`);
  return [
    sql`UPDATE dinp_record_counts SET records = records + CASE kind ${joinSql(cases, " ")} END
        WHERE kind IN (${listSql(changed.map(([kind]) => kind))})`,
  ];
}
