import { DinpError } from "../model/errors.js";
import type { Route, RouteChange, RouterAcknowledgement, RouteTableVersion } from "../ports/route-table.js";
import { routeKey } from "./desired-routes.js";
import { compareTableVersions, formatTableVersion } from "./table-version.js";

/**
 * Checks the changes of one apply as every `RouteTable` must, and takes frozen copies of them. `TypeError`: an illegal
 * host, path or port, a route that says neither endpoints nor why it has none (or both), two changes of one route.
 */
export function prepareRouteChanges(changes: readonly RouteChange[]): readonly RouteChange[] {
  const seen = new Set<string>();
  const copies = changes.map((change): RouteChange => {
    const { host, path } = change.op === "put" ? change.route : change;
    assertPlace(host, path);
    const key = routeKey(host, path);
    if (seen.has(key)) throw new TypeError(`The route ${key} is changed twice in one apply.`);
    seen.add(key);
    if (change.op === "delete") return Object.freeze({ op: "delete", host, path });
    return Object.freeze({ op: "put", route: copyRoute(change.route) });
  });
  return Object.freeze(copies);
}

/** A checked, frozen copy. `TypeError`: no router, or a version that is none. */
export function prepareAcknowledgement(acknowledgement: RouterAcknowledgement): RouterAcknowledgement {
  const { routerId, version, busy } = acknowledgement;
  assertTableVersion(version);
  if (routerId === "") throw new TypeError("routerId must not be empty.");
  return Object.freeze({ routerId, version: copyTableVersion(version), busy: Object.freeze([...busy]) });
}

export function copyTableVersion(version: RouteTableVersion): RouteTableVersion {
  const { incarnation, epoch, revision } = version;
  return Object.freeze({ incarnation, epoch, revision });
}

/** Throws `TypeError` unless epoch and revision are whole numbers of at least 0. */
export function assertTableVersion(version: RouteTableVersion): void {
  for (const name of ["epoch", "revision"] as const) assertCount(version[name], name);
}

/** Throws `TypeError` unless it is a whole number of at least 0. */
export function assertTableEpoch(epoch: number): void {
  assertCount(epoch, "epoch");
}

export function isSameTableVersion(left: RouteTableVersion, right: RouteTableVersion): boolean {
  return compareTableVersions(left, right) === 0;
}

/** May a table at `version` be written by this epoch, from `ifVersion`? Throws `DINP_FENCED` or `DINP_ROUTE_VERSION`. */
export function assertTableWritable(
  version: RouteTableVersion,
  epoch: number,
  ifVersion: RouteTableVersion,
): void {
  if (epoch < version.epoch) {
    throw new DinpError(
      "DINP_FENCED",
      `Epoch ${String(epoch)} is older than the table's epoch ${String(version.epoch)}.`,
      { hint: "Another leader writes the table now; stop.", details: { epoch, tableEpoch: version.epoch } },
    );
  }
  if (isSameTableVersion(ifVersion, version)) return;
  throw new DinpError(
    "DINP_ROUTE_VERSION",
    `The table is at ${formatTableVersion(version)}, not at ${formatTableVersion(ifVersion)}.`,
    { hint: "Read the table again and work the changes out anew." },
  );
}

function copyRoute(route: Route): Route {
  const endpoints = route.endpoints.map(({ instanceId, host, port }) => {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new TypeError(`The port of ${instanceId} must be 1 to 65535; got ${String(port)}.`);
    }
    return Object.freeze({ instanceId, host, port });
  });
  const { host, path, appId, appName, unavailable } = route;
  if ((endpoints.length === 0) === (unavailable === null)) {
    throw new TypeError(`The route ${routeKey(host, path)} must have endpoints or say why it has none.`);
  }
  return Object.freeze({ host, path, appId, appName, endpoints: Object.freeze(endpoints), unavailable });
}

function assertPlace(host: string, path: string): void {
  if (host === "" || host !== host.toLowerCase() || /[/\s]/.test(host) || host.endsWith(".")) {
    throw new TypeError(`The host ${JSON.stringify(host)} must be lower case, without path or trailing dot.`);
  }
  if (path !== "/" && (!path.startsWith("/") || path.endsWith("/"))) {
    throw new TypeError(
      `The path ${JSON.stringify(path)} must be "/" or "/prefix" without a trailing slash.`,
    );
  }
}

function assertCount(value: number, name: string): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new TypeError(`${name} must be a whole number of at least 0; got ${String(value)}.`);
}
