import type { Route, RouteChange } from "../ports/route-table.js";
import { compareRoutes, routeKey } from "./desired-routes.js";

/**
 * The changes that lead from one table to another: a `put` for every route that is new or differs, a `delete` for every
 * one that is gone; ordered by host and path. Empty when both tables say the same.
 */
export function diffRoutes(current: readonly Route[], desired: readonly Route[]): RouteChange[] {
  const before = new Map(current.map((route) => [routeKey(route.host, route.path), route]));
  const changes: RouteChange[] = [];
  for (const route of desired) {
    const key = routeKey(route.host, route.path);
    const present = before.get(key);
    before.delete(key);
    if (present === undefined || !sameRoute(present, route)) changes.push({ op: "put", route });
  }
  for (const { host, path } of before.values()) changes.push({ op: "delete", host, path });
  return changes.sort((a, b) => compareRoutes(addressOf(a), addressOf(b)));
}

/** True when two routes say the same, field by field, endpoints in their order. */
export function sameRoute(a: Route, b: Route): boolean {
  return (
    a.host === b.host &&
    a.path === b.path &&
    a.appId === b.appId &&
    a.appName === b.appName &&
    a.unavailable === b.unavailable &&
    a.endpoints.length === b.endpoints.length &&
    a.endpoints.every((endpoint, i) => {
      const other = b.endpoints[i];
      return (
        other !== undefined &&
        endpoint.instanceId === other.instanceId &&
        endpoint.host === other.host &&
        endpoint.port === other.port
      );
    })
  );
}

function addressOf(change: RouteChange): { readonly host: string; readonly path: string } {
  return change.op === "put" ? change.route : change;
}
