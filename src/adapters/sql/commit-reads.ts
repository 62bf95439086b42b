import type { CommitOptions, PreparedWrite } from "@dinp/core";
import { recordLists } from "./conditions.js";
import type { SqlRow } from "./database.js";
import { positionColumns } from "./history.js";
import { sql, type Statement } from "./statement.js";
import { oldValueReads, takerReads } from "./values.js";

export type Fencing = CommitOptions["fencing"];

const groups = ["locks", "takers", "unique", "indexes", "standing"] as const;

type Group = (typeof groups)[number];

/**
 * What a commit reads before it is judged, in this order: the records that it names, which are locked; who has the unique values
 * that it wants; the values that it may replace; and last, so that no record is newer than it, where the store and the lease stand.
 */
export class CommitReads {
  readonly statements: readonly Statement[];
  readonly #reads: Readonly<Record<Group, readonly Statement[]>>;

  constructor(writes: readonly PreparedWrite[], fencing: Fencing) {
    this.#reads = {
      locks: lockReads(writes),
      takers: takerReads(writes),
      unique: oldValueReads("dinp_unique_values", writes),
      indexes: oldValueReads("dinp_index_values", writes),
      standing: [standingRead(fencing)],
    };
    this.statements = groups.flatMap((group) => this.#reads[group]);
  }

  /** The rows of each group, from those of each statement. */
  rowsOf(answers: readonly (readonly SqlRow[])[]): Readonly<Record<Group, readonly SqlRow[]>> {
    let start = 0;
    const next = (group: Group): readonly SqlRow[] => {
      const end = start + this.#reads[group].length;
      const rows = answers.slice(start, end).flat();
      start = end;
      return rows;
    };
    const [locks, takers, unique, indexes, standing] = groups.map(next);
    return {
      locks: locks ?? [],
      takers: takers ?? [],
      unique: unique ?? [],
      indexes: indexes ?? [],
      standing: standing ?? [],
    };
  }
}

/** In the order of kind and key: two commits that lock in the same order cannot deadlock. */
function lockReads(writes: readonly PreparedWrite[]): readonly Statement[] {
  return recordLists(writes).map(
    (records) => sql`SELECT kind, record_key, revision FROM dinp_records
                     WHERE ${records} ORDER BY kind, record_key FOR UPDATE`,
  );
}

/** Where the store stands, and the lease. */
export function standingRead(fencing: Fencing): Statement {
  const lease =
    fencing === undefined
      ? sql``
      : sql`, (SELECT epoch FROM dinp_leases WHERE name = ${fencing.lease} AND holder IS NOT NULL) AS lease_epoch`;
  return sql`SELECT log_trimmed, ${positionColumns}${lease} FROM dinp_counter WHERE id = 1`;
}
