import type { Kind, NamedValue } from "@dinp/core";
import { chunks } from "./rows.js";
import { joinSql, sql, type Statement } from "./statement.js";

/** Rows in one statement: far below the 65,535 parameters that the PostgreSQL protocol allows. */
export const ROWS_MAX = 500;

/**
 * Conditions that name the records, in the order of kind and key and in pieces. Lists of one column for each kind and not of row values
 * `(a, b) IN (…)`: PostgreSQL makes a tree as deep as such a list is long, and PGlite's stack is small.
 */
export function recordLists(
  items: readonly { readonly kind: Kind; readonly key: string }[],
): readonly Statement[] {
  const sorted = items.toSorted((a, b) => compare(a.kind, b.kind) || compare(a.key, b.key));
  return chunks(sorted, ROWS_MAX).map((chunk) => {
    const groups = grouped(chunk, ({ kind }) => kind);
    return anyOf(
      groups.map((group) => {
        const [{ kind } = { kind: "" }] = group;
        return sql`kind = ${kind} AND record_key IN (${listSql(group.map(({ key }) => key))})`;
      }),
    );
  });
}

/** A condition that names rows of values. */
export function valueList(wanted: readonly (NamedValue & { readonly kind: Kind })[]): Statement {
  const groups = grouped(wanted, ({ kind, name }) => `${kind} ${name}`);
  return anyOf(
    groups.map((group) => {
      const [first] = group;
      const values = listSql(group.map(({ value }) => value));
      return sql`kind = ${first?.kind ?? ""} AND name = ${first?.name ?? ""} AND value IN (${values})`;
    }),
  );
}

function anyOf(conditions: readonly Statement[]): Statement {
  return joinSql(
    conditions.map((condition) => sql`(${condition})`),
    " OR ",
  );
}

/** The items in groups of the same name, in the order in which they come first. */
function grouped<T>(items: readonly T[], nameOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(nameOf(item));
    if (group === undefined) groups.set(nameOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function listSql(values: readonly string[]): Statement {
  return joinSql(values.map((value) => sql`${value}`));
}
