import { DinpError, type CommitOptions, type Kind, type PreparedWrite, type Revision } from "@dinp/core";
import { idOf, isPut, type Change, type Put } from "./change.js";
import { logText, logUpdates } from "./change-log.js";
import { listSql, recordLists, ROWS_MAX } from "./conditions.js";
import { SqlRetryError, type SqlDialect, type SqlRow, type SqlSession } from "./database.js";
import { positionOf, readPosition, type History } from "./history.js";
import { chunks, integerOf, kindOf, textOf } from "./rows.js";
import { joinSql, rawSql, rowsSql, sql, type Statement } from "./statement.js";
import { assertUnique, valueUpdates } from "./values.js";

export interface CommitContext {
  readonly session: SqlSession;
  readonly dialect: SqlDialect;
  readonly history: History;
  readonly changeLogCommits: number;
}

/** What a commit has come to. */
export interface Committed {
  readonly revision: Revision;
  /** As the change log has it; null when nothing changed. */
  readonly changes: string | null;
}

/** Databases bound the length of one statement (MySQL: `max_allowed_packet`). */
const CHARACTERS_MAX = 512 * 1024;

/**
 * Applies prepared writes within the session's transaction. Everything that can be refused is read and judged first,
 * with the records locked in key order; the counter row is taken after that, so that it is held only for the writes.
 */
export async function commitWrites(
  context: CommitContext,
  writes: readonly PreparedWrite[],
  fencing: CommitOptions["fencing"],
): Promise<Committed> {
  const { session, dialect, history, changeLogCommits } = context;
  if (fencing !== undefined) await assertNotFenced(session, fencing);
  const present = await lockRecords(session, writes);
  for (const write of writes) assertRevision(write, present.get(idOf(write)) ?? 0);
  const changes = writes.filter(
    (write): write is Change => write.op === "put" || (write.op === "delete" && present.has(idOf(write))),
  );
  if (changes.length === 0) return { revision: await presentRevision(session, history), changes: null };
  await assertUnique(session, changes);
  const values = await valueUpdates(session, changes, present);
  const text = logText(changes);

  const revision = await takeRevision(context);
  await assertStillAbsent(session, writes, present);
  await session.runAll([
    ...recordUpdates(changes, present, revision),
    ...values,
    ...countUpdates(changes, present),
    ...logUpdates(dialect, revision, text, changeLogCommits),
    ...(dialect.announcement === null ? [] : [dialect.announcement]),
  ]);
  return { revision, changes: text };
}

async function presentRevision(session: SqlSession, history: History): Promise<Revision> {
  const { floor } = history;
  const position = await readPosition(session);
  history.observe(position, floor);
  return position.revision;
}

async function takeRevision({ session, dialect, history }: CommitContext): Promise<Revision> {
  const { floor } = history;
  let rows: readonly SqlRow[] = [];
  for (const statement of dialect.nextRevision) rows = await session.run(statement);
  const position = positionOf(rows);
  // Not remembered before it is kept.
  history.check(position, floor + 1);
  return position.revision;
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

/** A row that is not there cannot be locked; but whoever made one meanwhile had the counter before. */
async function assertStillAbsent(
  session: SqlSession,
  writes: readonly PreparedWrite[],
  present: ReadonlyMap<string, Revision>,
): Promise<void> {
  const absent = writes.filter((write) => write.op !== "put" && !present.has(idOf(write)));
  if (absent.length === 0 || (await lockRecords(session, absent)).size === 0) return;
  throw new SqlRetryError("A record that was to be absent was made meanwhile.");
}

function recordUpdates(
  changes: readonly Change[],
  present: ReadonlyMap<string, Revision>,
  revision: Revision,
): readonly Statement[] {
  const isPresent = (change: Change): boolean => present.has(idOf(change));
  const puts = changes.filter(isPut);
  return [
    ...puts.filter(isPresent).map(
      ({ kind, key, text }) =>
        sql`UPDATE dinp_records SET revision = ${revision}, value = ${text}
            WHERE kind = ${kind} AND record_key = ${key}`,
    ),
    ...recordLists(changes.filter((change) => !isPut(change))).map(
      (records) => sql`DELETE FROM dinp_records WHERE ${records}`,
    ),
    ...insertions(
      puts.filter((put) => !isPresent(put)),
      revision,
    ),
  ];
}

function insertions(added: readonly Put[], revision: Revision): readonly Statement[] {
  return chunks(added, ROWS_MAX, { sizeOf: ({ text }) => text.length, max: CHARACTERS_MAX }).map((chunk) => {
    const rows = chunk.map(({ kind, key, text }) => [kind, key, revision, text]);
    return sql`INSERT INTO dinp_records (kind, record_key, revision, value) VALUES ${rowsSql(rows)}`;
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
