import { messageOf, prepareRouteChanges, type Route, type RouteChange, routeKey } from "@dinp/core";
import { corrupt, shown } from "./errors.js";

/** A route as it is stored. */
export function formatRoute(route: Route): string {
  return JSON.stringify(route);
}

/** Changes as they are stored. */
export function formatChanges(changes: readonly RouteChange[]): string {
  return JSON.stringify(changes);
}

/** Frozen routes out of their stored texts. `DINP_CORRUPT`: one of them is none. */
export function parseRoutes(texts: readonly unknown[], pattern: string): readonly Route[] {
  return texts.map((text) => {
    const [change] = checked(`[{"op":"put","route":${String(text)}}]`, pattern);
    if (change?.op === "put") return change.route;
    throw corrupt(`${excerpt(text)} is no route.`, pattern);
  });
}

/** Frozen changes out of their stored text. `DINP_CORRUPT`: they are none. */
export function parseChanges(text: string, pattern: string): readonly RouteChange[] {
  return checked(text, pattern);
}

function checked(text: string, pattern: string): readonly RouteChange[] {
  try {
    const changes = JSON.parse(text) as unknown;
    if (!Array.isArray(changes)) throw new TypeError("It is no list.");
    for (const change of changes) assertShape(change);
    return prepareRouteChanges(changes as readonly RouteChange[]);
  } catch (error) {
    throw corrupt(`${excerpt(text)} has no route: ${messageOf(error)}`, pattern, error);
  }
}

/** What the types promise; what values must be is checked by `prepareRouteChanges`. */
function assertShape(change: unknown): void {
  const place = record(change);
  if (place["op"] === "delete") {
    assertTexts(place, ["host", "path"]);
    return;
  }
  if (place["op"] !== "put") throw new TypeError(`There is no change ${shown(place["op"])}.`);
  const route = record(place["route"]);
  assertTexts(route, ["host", "path", "appId", "appName"]);
  const { endpoints, unavailable } = route;
  if (!Array.isArray(endpoints)) throw new TypeError("endpoints is no list.");
  for (const endpoint of endpoints) assertTexts(record(endpoint), ["instanceId", "host"]);
  if (unavailable !== null && unavailable !== "stopped" && unavailable !== "no-ready-instance") {
    throw new TypeError(`unavailable is ${shown(unavailable)}.`);
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  throw new TypeError(`${shown(value)} is no object.`);
}

function assertTexts(values: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  for (const name of names) if (typeof values[name] !== "string") throw new TypeError(`${name} is no text.`);
}

function excerpt(text: unknown): string {
  return JSON.stringify(String(text).slice(0, 120));
}

/** Routes by their keys, changed in place. */
export function changeRoutes(routes: Map<string, Route>, changes: readonly RouteChange[]): void {
  for (const change of changes) {
    if (change.op === "put") routes.set(routeKey(change.route.host, change.route.path), change.route);
    else routes.delete(routeKey(change.host, change.path));
  }
}
