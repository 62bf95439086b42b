import type { InstanceId } from "../model/records.js";
import type { RouterProgress } from "../platform/cluster-source.js";
import type { RouterAcknowledgement, RouteTableVersion } from "../ports/route-table.js";
import { compareTableVersions } from "../routing/table-version.js";

/** What a router last said of itself. */
export interface Acknowledged {
  readonly version: RouteTableVersion;
  readonly busy: ReadonlySet<InstanceId>;
}

/** By router. */
export function acknowledgedBy(said: readonly RouterAcknowledgement[]): ReadonlyMap<string, Acknowledged> {
  return new Map(said.map(({ routerId, version, busy }) => [routerId, { version, busy: new Set(busy) }]));
}

/** Whether what a router goes by is not older than that table. Tables of different incarnations have no order. */
export function isAtLeast(version: RouteTableVersion, wanted: RouteTableVersion): boolean {
  const order = compareTableVersions(version, wanted);
  return order !== null && order >= 0;
}

/**
 * How far a router is, by what it said (undefined: nothing). `absent`: since which table each instance that is no longer
 * in it has not been.
 */
export function progressOf(
  said: Acknowledged | undefined,
  present: RouteTableVersion | null,
  absent: Iterable<RouteTableVersion>,
): RouterProgress {
  const version = said?.version ?? null;
  const isComparable = version !== null && version.incarnation === present?.incarnation;
  let holdsUp = 0;
  for (const since of absent) if (version === null || !isAtLeast(version, since)) holdsUp += 1;
  return {
    acknowledged: version,
    behind: isComparable ? Math.max(0, present.revision - version.revision) : null,
    busy: said?.busy.size ?? 0,
    holdsUp,
  };
}
