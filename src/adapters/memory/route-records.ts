import type { Route, RouteChange, RouteTableVersion, RouterAcknowledgement } from "@dinp/core";

/** The place of a route in the table; hosts have no slash, so it is unambiguous. */
export function routeKey(host: string, path: string): string {
  return `${host}${path}`;
}

/** Checked, frozen copies of the changes. `TypeError`: an illegal host, path or port, or two changes of one route. */
export function copyChanges(changes: readonly RouteChange[]): readonly RouteChange[] {
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

export function copyAcknowledgement(acknowledgement: RouterAcknowledgement): RouterAcknowledgement {
  const { routerId, version, busy } = acknowledgement;
  assertVersion(version);
  if (routerId === "") throw new TypeError("routerId must not be empty.");
  return Object.freeze({ routerId, version: copyVersion(version), busy: Object.freeze([...busy]) });
}

export function copyVersion(version: RouteTableVersion): RouteTableVersion {
  const { incarnation, epoch, revision } = version;
  return Object.freeze({ incarnation, epoch, revision });
}

export function assertVersion(version: RouteTableVersion): void {
  for (const name of ["epoch", "revision"] as const) assertCount(version[name], name);
}

export function assertCount(value: number, name: string): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new TypeError(`${name} must be a whole number of at least 0; got ${String(value)}.`);
}

export function isSameVersion(left: RouteTableVersion, right: RouteTableVersion): boolean {
  return (
    left.incarnation === right.incarnation && left.epoch === right.epoch && left.revision === right.revision
  );
}

export function describeVersion(version: RouteTableVersion): string {
  return `${version.incarnation}/${String(version.epoch)}/${String(version.revision)}`;
}

function copyRoute(route: Route): Route {
  const endpoints = route.endpoints.map(({ instanceId, host, port }) => {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new TypeError(`The port of ${instanceId} must be 1 to 65535; got ${String(port)}.`);
    }
    return Object.freeze({ instanceId, host, port });
  });
  const { host, path, appId, appName, unavailable } = route;
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
