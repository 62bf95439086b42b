import { DinpError, type PreparedWrite, type Revision } from "@dinp/core";
import { idOf, type Change } from "./change.js";
import { logInsertion, logText, logTrim } from "./change-log.js";
import type { CommitReads, Fencing } from "./commit-reads.js";
import { recordLists } from "./conditions.js";
import type { Judgement, SqlDialect, SqlRow } from "./database.js";
import { positionOf, type History } from "./history.js";
import { recordWrites } from "./record-writes.js";
import { corrupt, integerOf, kindOf, textOf } from "./rows.js";
import { joinSql, sql, type Statement } from "./statement.js";
import { assertUnique, valueUpdates } from "./values.js";

export interface CommitContext {
  readonly dialect: SqlDialect;
  readonly history: History;
  /** How far this process had seen the store before the commit began. */
  readonly floor: Revision;
  readonly changeLogCommits: number;
}

/** What a commit has come to. */
export interface Committed {
  readonly revision: Revision;
  /** As the change log has it; null when nothing changed. */
  readonly changes: string | null;
}

/**
 * Judges prepared writes by what was read for them, with the records locked in key order. What is to be written can go out
 * in one piece with the commit: the lease and the counter's row are taken in it, so that no process that stands still
 * holds them. What another transaction may have changed since the reading is looked at again by the last statement,
 * the log's, which fails then; and the whole is repeated.
 */
export function judgeCommit(
  context: CommitContext,
  writes: readonly PreparedWrite[],
  fencing: Fencing,
  rows: ReturnType<CommitReads["rowsOf"]>,
): Judgement<Committed> {
  const { history, floor } = context;
  const [standing = {}] = rows.standing;
  assertNotFenced(standing, fencing);
  const position = positionOf(rows.standing);
  history.check(position, floor);
  const present = presentOf(rows.locks);
  for (const write of writes) assertRevision(write, present.get(idOf(write)) ?? 0);
  const changes = writes.filter(
    (write): write is Change => write.op === "put" || (write.op === "delete" && present.has(idOf(write))),
  );
  if (changes.length === 0) {
    history.observe(position, floor);
    return { statements: [], result: () => ({ revision: position.revision, changes: null }) };
  }
  assertUnique(changes, rows.takers);
  const text = logText(changes);
  const { dialect } = context;
  const taking = [
    ...leaseLock(fencing),
    ...(dialect.announcement === null ? [] : [dialect.announcement]),
    ...dialect.nextRevision,
  ];
  return {
    statements: [
      ...taking,
      ...recordWrites(changes, present),
      ...valueUpdates(changes, present, { unique: rows.unique, indexes: rows.indexes }),
      ...logTrim(position.revision, integerOf(standing, "log_trimmed"), context.changeLogCommits),
      logInsertion(dialect, text, [
        sql`revision > ${position.revision}`,
        ...leaseHeld(fencing),
        ...stillAbsent(writes, present),
      ]),
    ],
    result: (answers) => ({ revision: takenRevision(answers[taking.length - 1]), changes: text }),
  };
}

/** Judges by what {@link standingRead} read. */
export function assertNotFenced(standing: SqlRow, fencing: Fencing): void {
  if (fencing === undefined) return;
  if (standing["lease_epoch"] !== null && integerOf(standing, "lease_epoch") === fencing.epoch) return;
  throw new DinpError("DINP_FENCED", `The lease "${fencing.lease}" has moved on.`, {
    hint: "Another holder leads now; stop acting for the lease.",
    details: { lease: fencing.lease, epoch: fencing.epoch },
  });
}

/** The revisions of the records that exist, by id. */
function presentOf(rows: readonly SqlRow[]): ReadonlyMap<string, Revision> {
  return new Map(
    rows.map((row) => [
      idOf({ kind: kindOf(row), key: textOf(row, "record_key") }),
      integerOf(row, "revision"),
    ]),
  );
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

/** Before the counter's row: who waits for a lease that is being renewed holds up nobody else. */
function leaseLock(fencing: Fencing): readonly Statement[] {
  if (fencing === undefined) return [];
  return [sql`SELECT epoch FROM dinp_leases WHERE name = ${fencing.lease} FOR UPDATE`];
}

function leaseHeld(fencing: Fencing): readonly Statement[] {
  if (fencing === undefined) return [];
  const { lease, epoch } = fencing;
  return [
    sql`EXISTS (SELECT 1 FROM dinp_leases WHERE name = ${lease} AND epoch = ${epoch} AND holder IS NOT NULL)`,
  ];
}

/** A row that is not there cannot be locked; but whoever made one meanwhile had the counter before. */
function stillAbsent(
  writes: readonly PreparedWrite[],
  present: ReadonlyMap<string, Revision>,
): readonly Statement[] {
  const absent = writes.filter((write) => write.op !== "put" && !present.has(idOf(write)));
  if (absent.length === 0) return [];
  return [sql`NOT EXISTS (SELECT 1 FROM dinp_records WHERE ${joinSql(recordLists(absent), " OR ")})`];
}

function takenRevision(rows: readonly SqlRow[] | undefined): Revision {
  const row = rows?.[0];
  if (row === undefined) throw corrupt("The store's counter row is missing.");
  return integerOf(row, "revision");
}
