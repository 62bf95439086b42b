import {
  compareRoutes,
  desiredRoutes,
  RouteClaims,
  routeKey,
  type App,
  type Domain,
  type Withdrawal,
} from "@dinp/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { app, domain, placement, status } from "./records.js";

const appsDomain = "apps.test";
const withdrawals: readonly Withdrawal[] = [];
const names = ["a", "b", "c"];
const hosts = ["x.test", "y.test", "a.apps.test", "b.apps.test"];

const state = fc.record({
  name: fc.constantFrom(...names),
  present: fc.boolean(),
  ready: fc.boolean(),
  domains: fc.uniqueArray(fc.record({ host: fc.constantFrom(...hosts), createdAt: fc.nat(3) }), {
    selector: ({ host }) => host,
  }),
});

test("kept up app by app, the same routes stand as when all are taken together; what may differ is named", () => {
  fc.assert(
    fc.property(fc.array(state, { maxLength: 30 }), (states) => {
      const claims = new RouteClaims();
      const apps = new Map<
        string,
        { readonly app: App; readonly domains: Domain[]; readonly ready: boolean }
      >();
      for (const { name, present, ready, domains } of states) {
        const before = new Map(
          [...claims.routes()].map((route) => [routeKey(route.host, route.path), route]),
        );
        const own = domains.map(({ host, createdAt }) => domain(host, name, { createdAt }));
        if (present) apps.set(name, { app: app(name), domains: own, ready });
        else apps.delete(name);
        const placements = [placement(`i-${name}`, name)];
        const statuses = [status(`i-${name}`, name, { ready })];
        const named = claims.set(
          `app-${name}`,
          present ? { app: app(name), domains: own, placements, statuses, withdrawals, appsDomain } : null,
        );
        const expected = desiredRoutes({
          apps: [...apps.values()].map((each) => each.app),
          domains: [...apps.values()].flatMap((each) => each.domains),
          placements: names.map((each) => placement(`i-${each}`, each)),
          statuses: names.map((each) => status(`i-${each}`, each, { ready: apps.get(each)?.ready ?? false })),
          withdrawals,
          appsDomain,
        });
        const after = [...claims.routes()].sort(compareRoutes);
        expect(after).toEqual(expected);
        const keys = new Set([...before.keys(), ...after.map((route) => routeKey(route.host, route.path))]);
        for (const key of keys) if (!named.has(key)) expect(claims.at(key)).toBe(before.get(key));
      }
    }),
    { numRuns: 300 },
  );
});

test("where two apps claim one address the app's own name wins, then the older domain, then the lower id", () => {
  const claims = new RouteClaims();
  const [placements, statuses] = [[], []];
  const claim = (name: string, domains: readonly Domain[]): void => {
    claims.set(`app-${name}`, { app: app(name), domains, placements, statuses, withdrawals, appsDomain });
  };
  claim("b", [domain("a.apps.test", "b"), domain("x.test", "b", { createdAt: 5 }), domain("y.test", "b")]);
  claim("c", [domain("x.test", "c", { createdAt: 4 })]);
  claim("a", [domain("y.test", "a")]);
  const winners = ["a.apps.test/", "x.test/", "y.test/"].map((key) => claims.at(key)?.appName);
  expect(winners).toEqual(["a", "c", "a"]);
  claims.set("app-c", null);
  expect(claims.at("x.test/")?.appName).toBe("b");
});
