import { kinds, recordChange, type RecordChange, type Revision, type WatchEvent } from "@dinp/core";
import { isPut, type Change } from "./change.js";
import type { SqlDialect, SqlSession } from "./database.js";
import { positionColumns, positionOf, type Position } from "./history.js";
import { corrupt, integerOf, parsed, textOf } from "./rows.js";
import { joinSql, sql, type Statement } from "./statement.js";

const PAGE = 100;

type Commit = Extract<WatchEvent, { readonly type: "commit" }>;

/** What the log has after a revision. */
export interface LogPage {
  readonly position: Position;
  /** The next commits, or `reset` when the log does not reach back to the revision or the store is behind it. */
  readonly commits: readonly Commit[] | "reset";
}

export async function readChanges(session: SqlSession, after: Revision): Promise<LogPage> {
  const counter = await session.run(
    sql`SELECT log_trimmed, ${positionColumns} FROM dinp_counter WHERE id = 1`,
  );
  const position = positionOf(counter);
  const { revision } = position;
  const [row = {}] = counter;
  if (after > revision || after < integerOf(row, "log_trimmed")) return { position, commits: "reset" };
  if (after === revision) return { position, commits: [] };
  const rows = await session.run(
    sql`SELECT revision, changes FROM dinp_change_log WHERE revision > ${after} ORDER BY revision LIMIT ${PAGE}`,
  );
  const commits = rows.map((item): Commit => ({
    type: "commit",
    revision: integerOf(item, "revision"),
    changes: changesOf(textOf(item, "changes")),
  }));
  // A hole can only be a damaged log; a new snapshot tells its reader all that the log cannot.
  const isWhole =
    commits.length > 0 && commits.every((commit, index) => commit.revision === after + 1 + index);
  return { position, commits: isWhole ? commits : "reset" };
}

/** The changes of one commit, as the log has them. Those of kinds that only a newer program knows are left out. */
export function changesOf(text: string): readonly RecordChange[] {
  const items = parsed(text, "the change log");
  if (!Array.isArray(items)) throw corrupt("The change log is damaged.");
  return items.flatMap((item: unknown) => {
    if (typeof item !== "object" || item === null || !("kind" in item && "key" in item && "value" in item)) {
      throw corrupt("The change log is damaged.");
    }
    if (typeof item.kind !== "string" || typeof item.key !== "string")
      throw corrupt("The change log is damaged.");
    const kind = kinds.find((candidate) => candidate === item.kind);
    return kind === undefined ? [] : [recordChange(kind, item.key, item.value)];
  });
}

/** The changes of one commit, as the log is to have them. */
export function logText(changes: readonly Change[]): string {
  const items = changes.map((change) => {
    const value = isPut(change) ? change.text : "null";
    return `{"kind":${JSON.stringify(change.kind)},"key":${JSON.stringify(change.key)},"value":${value}}`;
  });
  return `[${items.join(",")}]`;
}

/**
 * Puts the commit that has taken its revision at the end of the log. When a condition does not hold there is no revision, which the
 * log does not take: the statement fails as one that lost against another transaction.
 */
export function logInsertion(dialect: SqlDialect, text: string, conditions: readonly Statement[]): Statement {
  const holds = joinSql([sql`id = 1`, ...conditions], " AND ");
  return sql`INSERT INTO dinp_change_log (revision, committed_at, changes)
             VALUES ((SELECT revision FROM dinp_counter WHERE ${holds}), ${dialect.now}, ${text})`;
}

/**
 * The statements that keep the log short, within a transaction that has the counter's row; none while it is. In batches: one commit in many
 * pays for the deletion.
 *
 * @param revision One that the store had before the commit.
 */
export function logTrim(
  revision: Revision,
  logTrimmed: Revision,
  changeLogCommits: number,
): readonly Statement[] {
  const batch = Math.min(500, Math.ceil(changeLogCommits / 10));
  const trimmed = revision + 1 - changeLogCommits;
  if (trimmed < logTrimmed + batch) return [];
  return [
    sql`DELETE FROM dinp_change_log WHERE revision <= ${trimmed}`,
    sql`UPDATE dinp_counter SET log_trimmed = ${trimmed} WHERE id = 1 AND log_trimmed < ${trimmed}`,
  ];
}
