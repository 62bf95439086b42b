import {
  DinpError,
  schemaOf,
  type CommitOptions,
  type Kind,
  type NamedValue,
  type PreparedWrite,
  type Revision,
} from "@dinp/core";
import type { SqlDialect, SqlSession } from "./database.js";
import { chunks, corrupt, integerOf, textOf } from "./rows.js";
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

/**
 * Applies prepared writes within the session's transaction. Everything that can be refused is read and judged first,
 * with the records locked in key order; the counter row is taken after that, so that it is held only for the writes.
 */
export async function commitWrites(
  context: CommitContext,
  writes: readonly PreparedWrite[],
  fencing: CommitOptions["fencing"],
): Promise<{ readonly revision: Revision; readonly isChanged: boolean }> {
  const { session } = context;
  if (fencing !== undefined) await assertNotFenced(session, fencing);
  const present = await lockRecords(session, writes);
  for (const write of writes) assertRevision(write, present.get(idOf(write)) ?? 0);
  const changes = writes.filter(
    (write): write is Change => write.op === "put" || (write.op === "delete" && present.has(idOf(write))),
  );
  if (changes.length === 0) return { revision: await currentRevision(session), isChanged: false };
  await assertUnique(session, changes);
  const staleUnique = await staleValues(session, "dinp_unique_values", changes, present);
  const staleIndexes = await staleValues(session, "dinp_index_values", changes, present);

  const revision = await takeRevision(session);
  await writeRecords(session, changes, present, revision);
  await replaceValues(session, "dinp_unique_values", staleUnique);
  await replaceValues(session, "dinp_index_values", staleIndexes);
  await countRecords(session, changes, present);
  await logChanges(context, changes, revision);
  return { revision, isChanged: true };
}

export async function currentRevision(session: SqlSession): Promise<Revision> {
  const [row] = await session.run(sql`SELECT revision FROM dinp_counter WHERE id = 1`);
  if (row === undefined) throw corrupt("The store's counter row is missing.");
  return integerOf(row, "revision");
}

async function takeRevision(session: SqlSession): Promise<Revision> {
  await session.run(sql`UPDATE dinp_counter SET revision = revision + 1 WHERE id = 1`);
  return currentRevision(session);
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
  for (const { kind, keys } of keysByKind(writes)) {
    const rows = await session.run(
      sql`SELECT record_key, revision FROM dinp_records
          WHERE kind = ${kind} AND record_key IN (${listSql(keys)}) ORDER BY record_key FOR UPDATE`,
    );
    for (const row of rows) {
      present.set(idOf({ kind, key: textOf(row, "record_key") }), integerOf(row, "revision"));
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
  for (const { kind, name, values } of valueGroups(wanted)) {
    const rows = await session.run(
      sql`SELECT value, record_key FROM dinp_unique_values
          WHERE kind = ${kind} AND name = ${name} AND value IN (${listSql(values)})`,
    );
    for (const row of rows) {
      if (written.has(idOf({ kind, key: textOf(row, "record_key") }))) continue;
      taken.add(`${kind} ${name} ${textOf(row, "value")}`);
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
  for (const { kind, keys } of keysByKind(replaced)) {
    const rows = await session.run(
      sql`SELECT name, value, record_key FROM ${rawSql(table)}
          WHERE kind = ${kind} AND record_key IN (${listSql(keys)})`,
    );
    for (const row of rows) {
      const id = idOf({ kind, key: textOf(row, "record_key") });
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
    for (const { kind, keys } of keysByKind(named)) {
      await session.run(
        sql`DELETE FROM ${rawSql(table)}
            WHERE kind = ${kind} AND name = ${name} AND record_key IN (${listSql(keys)})`,
      );
    }
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
  for (const { kind, keys } of keysByKind(deleted)) {
    await session.run(
      sql`DELETE FROM dinp_records WHERE kind = ${kind} AND record_key IN (${listSql(keys)})`,
    );
  }
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
  for (const [kind, delta] of deltas) {
    if (delta === 0) continue;
    await session.run(sql`UPDATE dinp_record_counts SET records = records + ${delta} WHERE kind = ${kind}`);
  }
}

async function logChanges(
  { session, dialect, changeLogCommits }: CommitContext,
  changes: readonly Change[],
  revision: Revision,
): Promise<void> {
  const items = changes.map((change) => {
    const value = isPut(change) ? change.text : "null";
    return `{"kind":${JSON.stringify(change.kind)},"key":${JSON.stringify(change.key)},"value":${value}}`;
  });
  await session.run(
    sql`INSERT INTO dinp_change_log (revision, committed_at, changes)
        VALUES (${revision}, ${dialect.now}, ${`[${items.join(",")}]`})`,
  );
  // In batches: one commit in many pays for the deletion.
  const batch = Math.min(500, Math.ceil(changeLogCommits / 10));
  const trimmed = revision - changeLogCommits;
  if (trimmed <= 0 || revision % batch !== 0) return;
  await session.run(sql`DELETE FROM dinp_change_log WHERE revision <= ${trimmed}`);
  await session.run(sql`UPDATE dinp_counter SET log_trimmed = ${trimmed} WHERE id = 1`);
}

function isPut(change: PreparedWrite): change is Put {
  return change.op === "put";
}

/**
 * The keys of each kind, sorted and in pieces. Lists of one column and not of row values `(a, b) IN (…)`: PostgreSQL
 * makes a tree as deep as such a list is long, and PGlite's stack is small.
 */
function keysByKind(
  items: readonly { readonly kind: Kind; readonly key: string }[],
): readonly { readonly kind: Kind; readonly keys: readonly string[] }[] {
  const byKind = new Map<Kind, string[]>();
  for (const { kind, key } of items) {
    const keys = byKind.get(kind) ?? [];
    keys.push(key);
    byKind.set(kind, keys);
  }
  return [...byKind]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([kind, keys]) => chunks(keys.sort(), ROWS_MAX).map((chunk) => ({ kind, keys: chunk })));
}

function valueGroups(
  wanted: readonly (NamedValue & { readonly put: Put })[],
): readonly { readonly kind: Kind; readonly name: string; readonly values: readonly string[] }[] {
  const names = new Set(wanted.map(({ name }) => name));
  return [...names].flatMap((name) =>
    keysByKind(
      wanted.filter((item) => item.name === name).map(({ put, value }) => ({ kind: put.kind, key: value })),
    ).map(({ kind, keys }) => ({ kind, name, values: keys })),
  );
}

function listSql(values: readonly string[]): Statement {
  return joinSql(values.map((value) => sql`${value}`));
}
