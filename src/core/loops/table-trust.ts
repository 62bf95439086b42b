import type { RouteTableSnapshot, RouteTableVersion } from "../ports/route-table.js";
import type { Clock } from "../ports/system.js";
import { compareTableVersions, formatTableVersion } from "../routing/table-version.js";

/** A snapshot that has fewer routes than this share of the present table is not believed... */
const SHRUNK_SHARE = 0.5;
/** ...if the present table has more routes than this... */
const SHRUNK_ROUTES_MIN = 10;
/** ...until it has stood for so long. */
export const shrunkMsMax = 600_000;

/** The table that is served. */
export interface ServedTable {
  readonly version: RouteTableVersion;
  readonly size: number;
}

/** Judges whole tables: what a router is given may come from a store that lost its past, or of which a part was read. */
export class TableTrust {
  readonly #clock: Clock;
  #believes = false;
  /** Since when tables are refused for their few routes. */
  #shrunkSince: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The next table is right, however few routes it has. */
  believe(): void {
    this.#believes = true;
  }

  /** A table was applied. */
  accepted(): void {
    this.#believes = false;
    this.#shrunkSince = null;
  }

  /** Why the snapshot must not take the place of the served table, for people; null when it may. */
  refusalOf({ version, routes }: RouteTableSnapshot, served: ServedTable | null): string | null {
    if (served === null) return null;
    const [offered, present] = [formatTableVersion(version), formatTableVersion(served.version)];
    const order = compareTableVersions(version, served.version);
    if (order !== null && order < 0) return `${offered} is older than ${present}`;
    if (order === null && version.revision === 0 && served.size > 0)
      return `${offered} was never written, ${present} is kept until it is`;
    if (!this.#isShrunk(routes.length, served.size)) return null;
    const counts = `${String(routes.length)} routes where ${present} has ${String(served.size)}`;
    return `${offered} has ${counts}, and does not say why`;
  }

  #isShrunk(routes: number, present: number): boolean {
    if (this.#believes || present <= SHRUNK_ROUTES_MIN || routes >= present * SHRUNK_SHARE) return false;
    const now = this.#clock.monotonicMs();
    this.#shrunkSince ??= now;
    return now - this.#shrunkSince < shrunkMsMax;
  }
}
