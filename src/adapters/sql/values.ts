import {
  DinpError,
  schemaOf,
  type Kind,
  type NamedValue,
  type PreparedWrite,
  type Revision,
} from "@dinp/core";
import { idOf, isPut, type Change } from "./change.js";
import { recordLists, ROWS_MAX, valueList } from "./conditions.js";
import type { SqlRow } from "./database.js";
import { chunks, kindOf, textOf } from "./rows.js";
import { rawSql, rowsSql, sql, type SqlValue, type Statement } from "./statement.js";

type ValueTable = "dinp_unique_values" | "dinp_index_values";

interface OldValue {
  readonly kind: Kind;
  readonly key: string;
  readonly name: string;
}

interface ValueChanges {
  readonly gone: readonly OldValue[];
  /** `(kind, name, value, record_key)` */
  readonly added: readonly SqlValue[][];
}

/** Who has the unique values that these writes want. */
export function takerReads(writes: readonly PreparedWrite[]): readonly Statement[] {
  return chunks(wantedBy(writes), ROWS_MAX).map(
    (chunk) => sql`SELECT kind, name, value, record_key FROM dinp_unique_values WHERE ${valueList(chunk)}`,
  );
}

/** The values of the records that these writes may change. */
export function oldValueReads(table: ValueTable, writes: readonly PreparedWrite[]): readonly Statement[] {
  // What must be absent has none.
  const replaced = writes.filter(
    ({ op, kind, ifRevision }) => op !== "check" && ifRevision !== "absent" && hasValues(table, kind),
  );
  return recordLists(replaced).map(
    (records) => sql`SELECT kind, name, value, record_key FROM ${rawSql(table)} WHERE ${records}`,
  );
}

function wantedBy(writes: readonly PreparedWrite[]): readonly (NamedValue & { readonly kind: Kind })[] {
  return writes.filter(isPut).flatMap(({ kind, unique }) => unique.map((named) => ({ kind, ...named })));
}

/** Judges the state that the whole commit leads to, so that a value can move from one record to another. */
export function assertUnique(changes: readonly Change[], takers: readonly SqlRow[]): void {
  const written = new Set(changes.map(idOf));
  const taken = new Set<string>();
  for (const row of takers) {
    const kind = kindOf(row);
    if (written.has(idOf({ kind, key: textOf(row, "record_key") }))) continue;
    taken.add(`${kind} ${textOf(row, "name")} ${textOf(row, "value")}`);
  }
  for (const { kind, name, value } of wantedBy(changes)) {
    const id = `${kind} ${name} ${value}`;
    if (taken.has(id)) {
      throw new DinpError("DINP_NOT_UNIQUE", `Another ${kind} has the ${name} "${value}".`, {
        details: { kind, unique: name, value },
      });
    }
    taken.add(id);
  }
}

/** The statements that bring the values of changed records up to date: none for most commits. */
export function valueUpdates(
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
  old: { readonly unique: readonly SqlRow[]; readonly indexes: readonly SqlRow[] },
): readonly Statement[] {
  return [
    ...replacements("dinp_unique_values", staleValues("dinp_unique_values", changes, present, old.unique)),
    ...replacements("dinp_index_values", staleValues("dinp_index_values", changes, present, old.indexes)),
  ];
}

/** What the commit changes in a table of values: most commits change records, but none of the values that find them. */
function staleValues(
  table: ValueTable,
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
  rows: readonly SqlRow[],
): ValueChanges {
  const old = new Map<string, string>();
  for (const row of rows) {
    const id = idOf({ kind: kindOf(row), key: textOf(row, "record_key") });
    if (present.has(id)) old.set(`${id} ${textOf(row, "name")}`, textOf(row, "value"));
  }
  const gone: OldValue[] = [];
  const added: SqlValue[][] = [];
  for (const change of changes) {
    const next = new Map(newValues(table, change).map(({ name, value }) => [name, value]));
    for (const name of valueNames(table, change.kind)) {
      const before = old.get(`${idOf(change)} ${name}`);
      const after = next.get(name);
      if (before === after) continue;
      if (before !== undefined) gone.push({ kind: change.kind, key: change.key, name });
      if (after !== undefined) added.push([change.kind, name, after, change.key]);
    }
  }
  return { gone, added };
}

function valueNames(table: ValueTable, kind: Kind): readonly string[] {
  const { unique, indexes } = schemaOf(kind);
  return Object.keys(table === "dinp_unique_values" ? unique : indexes);
}

function hasValues(table: ValueTable, kind: Kind): boolean {
  return valueNames(table, kind).length > 0;
}

function newValues(table: ValueTable, change: Change): readonly NamedValue[] {
  if (!isPut(change)) return [];
  return table === "dinp_unique_values" ? change.unique : change.indexes;
}

/** Takes all away before it adds, because a unique value may move from one record to another. */
function replacements(table: ValueTable, { gone, added }: ValueChanges): readonly Statement[] {
  const deletions = [...new Set(gone.map((value) => value.name))].flatMap((name) => {
    const named = gone.filter((value) => value.name === name);
    return recordLists(named).map(
      (records) => sql`DELETE FROM ${rawSql(table)} WHERE name = ${name} AND (${records})`,
    );
  });
  return [...deletions, ...chunks(added, ROWS_MAX).map((rows) => insertion(table, rows))];
}

/** @param rows `(kind, name, value, record_key)` */
export function insertion(table: ValueTable, rows: readonly (readonly SqlValue[])[]): Statement {
  return sql`INSERT INTO ${rawSql(table)} (kind, name, value, record_key) VALUES ${rowsSql(rows)}`;
}
