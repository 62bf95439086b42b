import { kinds, recordChange, type RecordChange, type Revision, type WatchEvent } from "@dinp/core";
import type { SqlSession } from "./database.js";
import { corrupt, integerOf, parsed, textOf } from "./rows.js";
import { sql } from "./statement.js";

const PAGE = 100;

type Commit = Extract<WatchEvent, { readonly type: "commit" }>;

/** The next commits after a revision, or `reset` when the log does not reach back to it or the store is behind it. */
export async function readChanges(
  session: SqlSession,
  after: Revision,
): Promise<readonly Commit[] | "reset"> {
  const [counter] = await session.run(sql`SELECT revision, log_trimmed FROM dinp_counter WHERE id = 1`);
  if (counter === undefined) throw corrupt("The store's counter row is missing.");
  const revision = integerOf(counter, "revision");
  if (after > revision || after < integerOf(counter, "log_trimmed")) return "reset";
  if (after === revision) return [];
  const rows = await session.run(
    sql`SELECT revision, changes FROM dinp_change_log WHERE revision > ${after} ORDER BY revision LIMIT ${PAGE}`,
  );
  const commits = rows.map((row): Commit => ({
    type: "commit",
    revision: integerOf(row, "revision"),
    changes: changesOf(textOf(row, "changes")),
  }));
  // A hole can only be a damaged log; a new snapshot tells its reader all that the log cannot.
  const isWhole =
    commits.length > 0 && commits.every((commit, index) => commit.revision === after + 1 + index);
  return isWhole ? commits : "reset";
}

/** The changes of one commit, as the log has them. */
export function changesOf(text: string): readonly RecordChange[] {
  const items = parsed(text, "the change log");
  if (!Array.isArray(items)) throw corrupt("The change log is damaged.");
  return items.map((item: unknown) => {
    if (typeof item !== "object" || item === null || !("kind" in item && "key" in item && "value" in item)) {
      throw corrupt("The change log is damaged.");
    }
    const kind = kinds.find((candidate) => candidate === item.kind);
    if (kind === undefined || typeof item.key !== "string") throw corrupt("The change log is damaged.");
    return recordChange(kind, item.key, item.value);
  });
}
