import { DinpError, schemaOf, type Kind, type NamedValue, type Revision } from "@dinp/core";
import { idOf, isPut, type Change } from "./change.js";
import { recordLists, ROWS_MAX, valueList } from "./conditions.js";
import type { SqlSession } from "./database.js";
import { chunks, kindOf, textOf } from "./rows.js";
import { rawSql, rowsSql, sql, type SqlValue, type Statement } from "./statement.js";

const valueTables = ["dinp_unique_values", "dinp_index_values"] as const;

type ValueTable = (typeof valueTables)[number];

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

/** Judges the state that the whole commit leads to, so that a value can move from one record to another. */
export async function assertUnique(session: SqlSession, changes: readonly Change[]): Promise<void> {
  const wanted = changes
    .filter(isPut)
    .flatMap(({ kind, unique }) => unique.map((named) => ({ kind, ...named })));
  const written = new Set(changes.map(idOf));
  const taken = new Set<string>();
  for (const chunk of chunks(wanted, ROWS_MAX)) {
    const rows = await session.run(
      sql`SELECT kind, name, value, record_key FROM dinp_unique_values WHERE ${valueList(chunk)}`,
    );
    for (const row of rows) {
      const kind = kindOf(row);
      if (written.has(idOf({ kind, key: textOf(row, "record_key") }))) continue;
      taken.add(`${kind} ${textOf(row, "name")} ${textOf(row, "value")}`);
    }
  }
  for (const { kind, name, value } of wanted) {
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
export async function valueUpdates(
  session: SqlSession,
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
): Promise<readonly Statement[]> {
  const statements: Statement[] = [];
  for (const table of valueTables) {
    statements.push(...replacements(table, await staleValues(session, table, changes, present)));
  }
  return statements;
}

/** What the commit changes in a table of values: most commits change records, but none of the values that find them. */
async function staleValues(
  session: SqlSession,
  table: ValueTable,
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
): Promise<ValueChanges> {
  const relevant = changes.filter((change) => hasValues(table, change.kind));
  const old = new Map<string, string>();
  const replaced = relevant.filter((change) => present.has(idOf(change)));
  for (const records of recordLists(replaced)) {
    const rows = await session.run(
      sql`SELECT kind, name, value, record_key FROM ${rawSql(table)} WHERE ${records}`,
    );
    for (const row of rows) {
      const id = idOf({ kind: kindOf(row), key: textOf(row, "record_key") });
      old.set(`${id} ${textOf(row, "name")}`, textOf(row, "value"));
    }
  }
  const gone: OldValue[] = [];
  const added: SqlValue[][] = [];
  for (const change of relevant) {
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
