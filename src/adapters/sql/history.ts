import { DinpError, type Revision } from "@dinp/core";
import type { SqlRow, SqlSession } from "./database.js";
import { corrupt, integerOf, textOf } from "./rows.js";
import { rawSql, sql, type Statement } from "./statement.js";

/** Where a store stands: which one it is, and at which revision. */
export interface Position {
  readonly storeId: string;
  readonly revision: Revision;
}

/** The columns that a {@link Position} is read from, of the counter's row. */
export const positionColumns: Statement = rawSql(
  "revision, (SELECT detail FROM dinp_schema WHERE name = 'store') AS store_id",
);

export function positionOf([row]: readonly SqlRow[]): Position {
  if (row === undefined) throw corrupt("The store's counter row is missing.");
  return { storeId: textOf(row, "store_id"), revision: integerOf(row, "revision") };
}

export async function readPosition(session: SqlSession): Promise<Position> {
  return positionOf(await session.run(sql`SELECT ${positionColumns} FROM dinp_counter WHERE id = 1`));
}

/**
 * The furthest that this process has seen of a store's history. A database that is behind it has lost commits, or has
 * not got them yet (a fail-over to a replica that lags, a restored backup); what it says is not to be acted upon.
 */
export class History {
  #seen: Position | null = null;

  /** A position that was read is refused when it lies before this one. Ask before reading. */
  get floor(): Revision {
    return this.#seen?.revision ?? 0;
  }

  /** `DINP_UNAVAILABLE` when the position is of another store, or of an older state than `floor`. */
  check(position: Position, floor: Revision): void {
    const { storeId, revision } = position;
    if (this.#seen !== null && this.#seen.storeId !== storeId) {
      throw new DinpError(
        "DINP_UNAVAILABLE",
        "The database is another one than before: it holds another store.",
        {
          retryable: true,
          hint: "See where its address leads to; restart the server when the new store is the right one.",
          details: { storeId, seenStoreId: this.#seen.storeId },
        },
      );
    }
    if (revision >= floor) return;
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `The database is at revision ${String(revision)}, but was at ${String(floor)} before: it has lost commits.`,
      {
        retryable: true,
        hint: "A fail-over to a replica that lagged, or a restored backup? Restart the servers when this state is to be kept.",
        details: { revision, seenRevision: floor },
      },
    );
  }

  /** Checks a position that was read, and remembers it. */
  observe(position: Position, floor: Revision): void {
    this.check(position, floor);
    if (position.revision >= this.floor) this.#seen = position;
  }

  /** Remembers a commit of this process. */
  advance(revision: Revision): void {
    if (this.#seen !== null && revision > this.#seen.revision) this.#seen = { ...this.#seen, revision };
  }
}
