import type { AppId } from "../model/records.js";
import type { Route } from "../ports/route-table.js";
import { type AppRouteInput, claimsOfApp, type RouteClaim, routeKey } from "./desired-routes.js";

/**
 * Which app's route stands at each host and path, kept up app by app; in the end the same as `desiredRoutes` of all
 * apps, whatever the order in which they came.
 */
export class RouteClaims {
  readonly #byKey = new Map<string, readonly RouteClaim[]>();
  readonly #keysOfApp = new Map<AppId, readonly string[]>();

  /** Replaces what the app claims; null: it is gone. Returns the keys at which something may be different now. */
  set(appId: AppId, input: AppRouteInput | null): ReadonlySet<string> {
    const claims = input === null ? [] : claimsOfApp(input);
    const touched = new Set(this.#keysOfApp.get(appId));
    for (const key of touched) this.#drop(key, appId);
    const keys = claims.map(({ route }) => routeKey(route.host, route.path));
    claims.forEach((claim, i) => {
      const key = keys[i] ?? "";
      touched.add(key);
      this.#add(key, claim);
    });
    if (keys.length === 0) this.#keysOfApp.delete(appId);
    else this.#keysOfApp.set(appId, keys);
    return touched;
  }

  clear(): void {
    this.#byKey.clear();
    this.#keysOfApp.clear();
  }

  /** The route that stands at the key, or undefined. */
  at(key: string): Route | undefined {
    return this.#byKey.get(key)?.[0]?.route;
  }

  *routes(): IterableIterator<Route> {
    for (const [winner] of this.#byKey.values()) if (winner !== undefined) yield winner.route;
  }

  #add(key: string, claim: RouteClaim): void {
    const present = this.#byKey.get(key);
    if (present === undefined) this.#byKey.set(key, [claim]);
    else
      this.#byKey.set(
        key,
        [...present, claim].sort((a, b) => (a.rank < b.rank ? -1 : 1)),
      );
  }

  #drop(key: string, appId: AppId): void {
    const left = this.#byKey.get(key)?.filter(({ route }) => route.appId !== appId) ?? [];
    if (left.length === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, left);
  }
}
