import { desiredRoutes, diffRoutes, type Route, RouteIndex, type RouteInput, routesOfApp } from "@dinp/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { app, domain, endpoint, placement, route, status } from "./records.js";

const appsDomain = "apps.test";
const none: Omit<RouteInput, "apps"> = {
  domains: [],
  placements: [],
  statuses: [],
  withdrawals: [],
  appsDomain,
};

describe("desiredRoutes", () => {
  it("routes the app's name and its domains to its ready instances, in order", () => {
    const routes = desiredRoutes({
      ...none,
      apps: [app("b"), app("a")],
      domains: [
        domain("www.b.test", "b", { path: "/shop" }),
        domain("www.b.test", "b"),
        domain("x.test", "gone"),
      ],
      placements: [placement("i-2", "b"), placement("i-1", "b")],
      statuses: [status("i-2", "b"), status("i-1", "b")],
    });
    expect(routes.map(({ host, path, appName }) => [host, path, appName])).toEqual([
      ["a.apps.test", "/", "a"],
      ["b.apps.test", "/", "b"],
      ["www.b.test", "/", "b"],
      ["www.b.test", "/shop", "b"],
    ]);
    expect(routes[0]).toMatchObject({ endpoints: [], unavailable: "no-ready-instance" });
    expect(routes[1]).toMatchObject({ endpoints: [endpoint("i-1"), endpoint("i-2")], unavailable: null });
  });

  it.each([
    ["a placement that drains", placement("i-1", "a", { desired: "draining" }), status("i-1", "a")],
    ["a placement that stops", placement("i-1", "a", { desired: "stopped" }), status("i-1", "a")],
    [
      "an instance that starts",
      placement("i-1", "a"),
      status("i-1", "a", { phase: "starting", ready: false }),
    ],
    ["an instance that is not ready", placement("i-1", "a"), status("i-1", "a", { ready: false })],
    ["an instance that stops", placement("i-1", "a"), status("i-1", "a", { phase: "stopping" })],
    ["an instance that has ended", placement("i-1", "a"), status("i-1", "a", { phase: "exited" })],
    ["an instance without an endpoint", placement("i-1", "a"), status("i-1", "a", { endpoint: null })],
    ["an instance without a placement", placement("i-2", "a"), status("i-1", "a")],
  ])("leaves out %s", (_, placed, observed) => {
    const [only] = desiredRoutes({ ...none, apps: [app("a")], placements: [placed], statuses: [observed] });
    expect(only).toMatchObject({ endpoints: [], unavailable: "no-ready-instance" });
  });

  it("keeps a stopped app's routes without endpoints, and says so", () => {
    const input = { ...none, placements: [placement("i-1", "a")], statuses: [status("i-1", "a")] };
    expect(routesOfApp({ ...input, app: app("a", { desired: "stopped" }) })).toMatchObject([
      { host: "a.apps.test", endpoints: [], unavailable: "stopped" },
    ]);
  });

  it("has no route for a deleted app, nor for one without a release", () => {
    const apps = [app("a", { deletedAt: 1 }), app("b", { currentRelease: null })];
    expect(desiredRoutes({ ...none, apps, domains: [domain("x.test", "a")] })).toEqual([]);
  });

  it("gives an app's own name to the app, whoever claims it as a domain", () => {
    const apps = [app("a"), app("b")];
    const domains = [domain("b.apps.test", "a"), domain("a.apps.test", "b")];
    const routes = desiredRoutes({ ...none, apps, domains });
    expect(routes.map(({ host, appName }) => [host, appName])).toEqual([
      ["a.apps.test", "a"],
      ["b.apps.test", "b"],
    ]);
  });
});

const anyRoutes = fc.uniqueArray(
  fc
    .record({
      host: fc.constantFrom("a.test", "b.test", "c.test"),
      path: fc.constantFrom("/", "/a", "/a/b"),
      instances: fc.subarray(["i-1", "i-2", "i-3"]),
    })
    .map(({ host, path, instances }) => route(host, path, instances)),
  { selector: ({ host, path }) => host + path },
);

const sorted = (routes: Iterable<Route>): string[] => [...routes].map((each) => JSON.stringify(each)).sort();

describe("diffRoutes", () => {
  it("leads from any table to any other, and says nothing about what stays", () => {
    fc.assert(
      fc.property(anyRoutes, anyRoutes, (current, desired) => {
        const changes = diffRoutes(current, desired);
        const index = new RouteIndex(current);
        index.apply(changes);
        expect(sorted(index.routes())).toEqual(sorted(desired));
        expect(index.size).toBe(desired.length);
        const same = sorted(desired).filter((each) => sorted(current).includes(each)).length;
        const puts = changes.filter(({ op }) => op === "put").length;
        expect(puts).toBe(desired.length - same);
        expect(diffRoutes(desired, structuredClone(desired))).toEqual([]);
      }),
    );
  });

  it("sees every field's change", () => {
    const before = route("a.test", "/");
    const changed: readonly Route[] = [
      { ...before, appId: "other" },
      { ...before, appName: "other" },
      { ...before, unavailable: "stopped" },
      { ...before, endpoints: [] },
      { ...before, endpoints: [{ ...endpoint("i-1"), port: 1 }] },
      { ...before, endpoints: [{ ...endpoint("i-1"), host: "h" }] },
      { ...before, endpoints: [endpoint("i-2")] },
    ];
    for (const after of changed) expect(diffRoutes([before], [after])).toEqual([{ op: "put", route: after }]);
  });
});
