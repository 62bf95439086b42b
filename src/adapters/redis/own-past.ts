import { compareTableVersions, type RouteTableVersion } from "@dinp/core";
import type { TableHead } from "./answer.js";

/** Incarnations that are remembered: a backup can bring one back that was thought gone. */
const INCARNATIONS_MAX = 16;

/** What one apply made, or may have made. */
export interface Written {
  readonly version: RouteTableVersion;
  readonly stamp: string;
  /** False while it is not known whether it was made: no answer came. */
  readonly isCertain: boolean;
}

/**
 * What this writer has written, or may have, so that it sees when the table has lost some of that: Redis was restarted
 * with older data, or a replica took over that had not got it yet. Routers may have seen what was lost. Were the table
 * written on in its incarnation, other routes could come under a version that they know already; so the next
 * write begins an incarnation. What writers of other epochs wrote need not be known: an epoch is in each of its versions.
 *
 * A value: what was known when a reading began stays known to it alone.
 */
export class OwnPast {
  readonly #newest: ReadonlyMap<string, Written>;

  constructor(newest: ReadonlyMap<string, Written> = new Map()) {
    this.#newest = newest;
  }

  with(written: Written): OwnPast {
    const newest = new Map(this.#newest);
    newest.delete(written.version.incarnation);
    newest.set(written.version.incarnation, written);
    return new OwnPast(new Map([...newest].slice(-INCARNATIONS_MAX)));
  }

  /** What is in doubt and was made after all, by what the table is at; null when nothing is. */
  settledBy({ version, stamp }: TableHead): Written | null {
    const own = this.#newest.get(version.incarnation);
    if (own === undefined || own.isCertain || own.stamp !== stamp) return null;
    return { ...own, isCertain: true };
  }

  /** Whether it is not known if the newest apply of the incarnation was made. */
  isInDoubt(incarnation: string): boolean {
    return this.#newest.get(incarnation)?.isCertain === false;
  }

  /** Whether a table at `head` has lost something of this past. */
  isLostAt({ version, stamp }: TableHead): boolean {
    const own = this.#newest.get(version.incarnation);
    if (own === undefined) return false;
    const order = compareTableVersions(version, own.version) ?? 0;
    if (order === 0) return stamp !== own.stamp;
    // A later version of the same epoch is no proof that one in doubt was made, and not lost since.
    return order < 0 || (!own.isCertain && version.epoch === own.version.epoch);
  }
}
