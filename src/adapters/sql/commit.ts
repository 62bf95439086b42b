import {
  DinpError,
  schemaOf,
  type CommitOptions,
  type Kind,
  type NamedValue,
  type PreparedWrite,
  type Revision,
} from "@dinp/core";
import type { SqlDialect, SqlRow, SqlSession } from "./database.js";
import { chunks, corrupt, integerOf, kindOf, textOf } from "./rows.js";
import { joinSql, rawSql, rowsSql, sql, type SqlValue, type Statement } from "./statement.js";

export interface CommitContext {
  readonly session: SqlSession;
  readonly dialect: SqlDialect;
  readonly changeLogCommits: number;
}

type Put = Extract<PreparedWrite, { readonly op: "put" }>;
type Change = Extract<PreparedWrite, { readonly op: "put" | "delete" }>;
type ValueTable = "dinp_unique_values" | "dinp_index_values";

/** Rows in one statement: far below the 65,535 parameters that the PostgreSQL protocol allows. */
const ROWS_MAX = 500;

/** What a commit has come to. */
export interface Committed {
  readonly revision: Revision;
  /** As the change log has it; null when nothing changed. */
  readonly changes: string | null;
}

/**
 * Applies prepared writes within the session's transaction. Everything that can be refused is read and judged first,
 * with the records locked in key order; the counter row is taken after that, so that it is held only for the writes.
 */
export async function commitWrites(
  context: CommitContext,
  writes: readonly PreparedWrite[],
  fencing: CommitOptions["fencing"],
): Promise<Committed> {
  const { session } = context;
  if (fencing !== undefined) await assertNotFenced(session, fencing);
  const present = await lockRecords(session, writes);
  for (const write of writes) assertRevision(write, present.get(idOf(write)) ?? 0);
  const changes = writes.filter(
    (write): write is Change => write.op === "put" || (write.op === "delete" && present.has(idOf(write))),
  );
  if (changes.length === 0) return { revision: await currentRevision(session), changes: null };
  await assertUnique(session, changes);
  const staleUnique = await staleValues(session, "dinp_unique_values", changes, present);
  const staleIndexes = await staleValues(session, "dinp_index_values", changes, present);

  const revision = await takeRevision(context);
  await writeRecords(session, changes, present, revision);
  await replaceValues(session, "dinp_unique_values", staleUnique);
  await replaceValues(session, "dinp_index_values", staleIndexes);
  await countRecords(session, changes, present);
  return { revision, changes: await logChanges(context, changes, revision) };
}

export async function currentRevision(session: SqlSession): Promise<Revision> {
  return revisionIn(await session.run(sql`SELECT revision FROM dinp_counter WHERE id = 1`));
}

async function takeRevision({ session, dialect }: CommitContext): Promise<Revision> {
  let rows: readonly SqlRow[] = [];
  for (const statement of dialect.nextRevision) rows = await session.run(statement);
  return revisionIn(rows);
}

function revisionIn([row]: readonly SqlRow[]): Revision {
  if (row === undefined) throw corrupt("The store's counter row is missing.");
  return integerOf(row, "revision");
}

function idOf(of: { readonly kind: string; readonly key: string }): string {
  return `${of.kind} ${of.key}`;
}

async function assertNotFenced(
  session: SqlSession,
  fencing: NonNullable<CommitOptions["fencing"]>,
): Promise<void> {
  const [row] = await session.run(
    sql`SELECT epoch, holder FROM dinp_leases WHERE name = ${fencing.lease} FOR UPDATE`,
  );
  if (row !== undefined && row["holder"] !== null && integerOf(row, "epoch") === fencing.epoch) return;
  throw new DinpError("DINP_FENCED", `The lease "${fencing.lease}" has moved on.`, {
    hint: "Another holder leads now; stop acting for the lease.",
    details: { lease: fencing.lease, epoch: fencing.epoch },
  });
}

/** The revisions of the records that exist, by id. */
async function lockRecords(
  session: SqlSession,
  writes: readonly PreparedWrite[],
): Promise<ReadonlyMap<string, Revision>> {
  const present = new Map<string, Revision>();
  // In the order of kind and key: two commits that lock in the same order cannot deadlock.
  for (const records of recordLists(writes)) {
    const rows = await session.run(
      sql`SELECT kind, record_key, revision FROM dinp_records
          WHERE ${records} ORDER BY kind, record_key FOR UPDATE`,
    );
    for (const row of rows) {
      present.set(idOf({ kind: kindOf(row), key: textOf(row, "record_key") }), integerOf(row, "revision"));
    }
  }
  return present;
}

function assertRevision(write: PreparedWrite, revision: Revision): void {
  if (write.ifRevision === undefined) return;
  if (revision === (write.ifRevision === "absent" ? 0 : write.ifRevision)) return;
  throw new DinpError(
    "DINP_CONFLICT",
    `The ${write.kind} "${write.key}" is at revision ${String(revision)}, not ${String(write.ifRevision)}.`,
    {
      hint: "Read the record again and repeat the change.",
      details: { kind: write.kind, key: write.key, revision },
    },
  );
}

/** Judges the state that the whole commit leads to, so that a value can move from one record to another. */
async function assertUnique(session: SqlSession, changes: readonly Change[]): Promise<void> {
  const wanted = changes.filter(isPut).flatMap((put) => put.unique.map((named) => ({ put, ...named })));
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
  for (const { put, name, value } of wanted) {
    const id = `${put.kind} ${name} ${value}`;
    if (taken.has(id)) {
      throw new DinpError("DINP_NOT_UNIQUE", `Another ${put.kind} has the ${name} "${value}".`, {
        details: { kind: put.kind, unique: name, value },
      });
    }
    taken.add(id);
  }
}

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
async function replaceValues(session: SqlSession, table: ValueTable, changes: ValueChanges): Promise<void> {
  for (const name of new Set(changes.gone.map((value) => value.name))) {
    const named = changes.gone.filter((value) => value.name === name);
    for (const records of recordLists(named))
      await session.run(sql`DELETE FROM ${rawSql(table)} WHERE name = ${name} AND (${records})`);
  }
  for (const chunk of chunks(changes.added, ROWS_MAX)) {
    await session.run(
      sql`INSERT INTO ${rawSql(table)} (kind, name, value, record_key) VALUES ${rowsSql(chunk)}`,
    );
  }
}

async function writeRecords(
  session: SqlSession,
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
  revision: Revision,
): Promise<void> {
  const added: Put[] = [];
  const deleted: Change[] = [];
  for (const change of changes) {
    if (!isPut(change)) deleted.push(change);
    else if (!present.has(idOf(change))) added.push(change);
    else {
      await session.run(
        sql`UPDATE dinp_records SET revision = ${revision}, value = ${change.text}
            WHERE kind = ${change.kind} AND record_key = ${change.key}`,
      );
    }
  }
  for (const records of recordLists(deleted))
    await session.run(sql`DELETE FROM dinp_records WHERE ${records}`);
  for (const chunk of chunks(added, ROWS_MAX)) {
    const rows = chunk.map(({ kind, key, text }) => [kind, key, revision, text]);
    await session.run(
      sql`INSERT INTO dinp_records (kind, record_key, revision, value) VALUES ${rowsSql(rows)}`,
    );
  }
}

async function countRecords(
  session: SqlSession,
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
): Promise<void> {
  const deltas = new Map<Kind, number>();
  for (const change of changes) {
    const delta = isPut(change) ? (present.has(idOf(change)) ? 0 : 1) : -1;
    deltas.set(change.kind, (deltas.get(change.kind) ?? 0) + delta);
  }
  const changed = [...deltas].filter(([, delta]) => delta !== 0);
  if (changed.length === 0) return;
  const cases = changed.map(([kind, delta]) => sql`WHEN ${kind} THEN ${rawSql(String(delta))}`);
  await session.run(
    sql`UPDATE dinp_record_counts SET records = records + CASE kind ${joinSql(cases, " ")} END
        WHERE kind IN (${listSql(changed.map(([kind]) => kind))})`,
  );
}

async function logChanges(
  { session, dialect, changeLogCommits }: CommitContext,
  changes: readonly Change[],
  revision: Revision,
): Promise<string> {
  const items = changes.map((change) => {
    const value = isPut(change) ? change.text : "null";
    return `{"kind":${JSON.stringify(change.kind)},"key":${JSON.stringify(change.key)},"value":${value}}`;
  });
  const text = `[${items.join(",")}]`;
  await session.run(
    sql`INSERT INTO dinp_change_log (revision, committed_at, changes)
        VALUES (${revision}, ${dialect.now}, ${text})`,
  );
  // In batches: one commit in many pays for the deletion.
  const batch = Math.min(500, Math.ceil(changeLogCommits / 10));
  const trimmed = revision - changeLogCommits;
  if (trimmed <= 0 || revision % batch !== 0) return text;
  await session.run(sql`DELETE FROM dinp_change_log WHERE revision <= ${trimmed}`);
  await session.run(sql`UPDATE dinp_counter SET log_trimmed = ${trimmed} WHERE id = 1`);
  return text;
}

function isPut(change: PreparedWrite): change is Put {
  return change.op === "put";
}

/**
 * Conditions that name the records, in the order of kind and key and in pieces. Lists of one column for each kind and not of row values
 * `(a, b) IN (…)`: PostgreSQL makes a tree as deep as such a list is long, and PGlite's stack is small.
 */
function recordLists(items: readonly { readonly kind: Kind; readonly key: string }[]): readonly Statement[] {
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

/** A condition that names the rows of unique values. */
function valueList(wanted: readonly (NamedValue & { readonly put: Put })[]): Statement {
  const groups = grouped(wanted, ({ put, name }) => `${put.kind} ${name}`);
  return anyOf(
    groups.map((group) => {
      const [first] = group;
      const values = listSql(group.map(({ value }) => value));
      return sql`kind = ${first?.put.kind ?? ""} AND name = ${first?.name ?? ""} AND value IN (${values})`;
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

function listSql(values: readonly string[]): Statement {
  return joinSql(values.map((value) => sql`${value}`));
}
