import type { InstanceId } from "../model/records.js";
import type { Route, RouteChange } from "../ports/route-table.js";

/** Host and path prefix → route, for one lookup per request. */
export interface ReadonlyRouteIndex {
  /** Number of routes. */
  readonly size: number;
  /**
   * The route of the exact host whose path is the longest prefix of `path`, by whole segments: `/a` matches `/a` and
   * `/a/b`, never `/ab`. Null when there is none.
   *
   * `host` as `normalizeHost` gives it. `path` is the request's path as it came, beginning with `/`, without its query;
   * it is compared byte by byte: never decoded, never folded in case, dot segments and double slashes untouched. Takes
   * one look for the host and one per path segment that a route of that host could still match.
   */
  find(host: string, path: string): Route | null;
  /** True when some route has this host, whatever its path. */
  hasHost(host: string): boolean;
  /** True when some route has an endpoint of this instance. */
  hasInstance(instanceId: InstanceId): boolean;
  /** All routes, in no particular order. */
  routes(): IterableIterator<Route>;
}

interface HostRoutes {
  readonly byPath: Map<string, Route>;
  /** Length of the longest path in `byPath`. */
  longest: number;
}

/**
 * An index that changes in place. Each `apply` is one synchronous step, so a reader on the same thread sees the table
 * before it or the table after it. A whole new table is a new index that its owner swaps in.
 */
export class RouteIndex implements ReadonlyRouteIndex {
  readonly #hosts = new Map<string, HostRoutes>();
  /** In how many routes each instance is. */
  readonly #instances = new Map<InstanceId, number>();
  #size = 0;

  constructor(routes: readonly Route[] = []) {
    for (const route of routes) this.#put(route);
  }

  get size(): number {
    return this.#size;
  }

  /** True when an instance that was in some route is in none any more. */
  apply(changes: readonly RouteChange[]): boolean {
    let hasLetGo = false;
    for (const change of changes) {
      const before = change.op === "put" ? this.#put(change.route) : this.#delete(change.host, change.path);
      hasLetGo ||= before?.endpoints.some(({ instanceId }) => !this.#instances.has(instanceId)) ?? false;
    }
    return hasLetGo;
  }

  find(host: string, path: string): Route | null {
    const routes = this.#hosts.get(host);
    return routes === undefined ? null : findByPath(routes, path);
  }

  hasHost(host: string): boolean {
    return this.#hosts.has(host);
  }

  hasInstance(instanceId: InstanceId): boolean {
    return this.#instances.has(instanceId);
  }

  *routes(): IterableIterator<Route> {
    for (const { byPath } of this.#hosts.values()) yield* byPath.values();
  }

  /** Returns what it took the place of. */
  #put(route: Route): Route | undefined {
    let routes = this.#hosts.get(route.host);
    if (routes === undefined) {
      routes = { byPath: new Map(), longest: 0 };
      this.#hosts.set(route.host, routes);
    }
    const present = routes.byPath.get(route.path);
    routes.byPath.set(route.path, route);
    routes.longest = Math.max(routes.longest, route.path.length);
    this.#countInstances(route, 1);
    if (present === undefined) this.#size += 1;
    else this.#countInstances(present, -1);
    return present;
  }

  /** Returns what was there. */
  #delete(host: string, path: string): Route | undefined {
    const routes = this.#hosts.get(host);
    const present = routes?.byPath.get(path);
    if (routes === undefined || present === undefined) return undefined;
    routes.byPath.delete(path);
    this.#countInstances(present, -1);
    this.#size -= 1;
    if (routes.byPath.size === 0) this.#hosts.delete(host);
    else if (path.length === routes.longest) routes.longest = longestOf(routes.byPath.keys());
    return present;
  }

  #countInstances(route: Route, step: 1 | -1): void {
    for (const { instanceId } of route.endpoints) {
      const count = (this.#instances.get(instanceId) ?? 0) + step;
      if (count > 0) this.#instances.set(instanceId, count);
      else this.#instances.delete(instanceId);
    }
  }
}

function findByPath({ byPath, longest }: HostRoutes, path: string): Route | null {
  let end = path.length;
  // Nothing longer than the longest path can match: this bounds the work, however many slashes a client sends.
  if (end > longest) end = path.charAt(longest) === "/" ? longest : path.lastIndexOf("/", longest);
  while (end > 0) {
    const route = byPath.get(path.slice(0, end));
    if (route !== undefined) return route;
    end = path.lastIndexOf("/", end - 1);
  }
  return byPath.get("/") ?? null;
}

function longestOf(paths: Iterable<string>): number {
  let longest = 0;
  for (const path of paths) longest = Math.max(longest, path.length);
  return longest;
}
