import type { RouteTableVersion } from "../ports/route-table.js";

/**
 * Negative when `a` is older than `b`, positive when newer, 0 when they are the same version; null when they are of
 * different incarnations, which have no order.
 */
export function compareTableVersions(a: RouteTableVersion, b: RouteTableVersion): number | null {
  if (a.incarnation !== b.incarnation) return null;
  return a.epoch - b.epoch || a.revision - b.revision;
}

/** `incarnation/epoch/revision`, for people and logs. */
export function formatTableVersion(version: RouteTableVersion): string {
  return `${version.incarnation}/${String(version.epoch)}/${String(version.revision)}`;
}
