import { honouredWithdrawals, routesOfApp, type Withdrawal } from "@dinp/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { app, endpoint, placement, status } from "./records.js";

function withdrawal(instanceId: string, since = 0, monitorId = "m1"): Withdrawal {
  return { instanceId, appId: "app-a", monitorId, since, reason: "no answer" };
}

const ids = ["i-1", "i-2", "i-3", "i-4", "i-5"];

describe("withdrawals", () => {
  test("take an instance off every route of its app", () => {
    const two = ["i-1", "i-2"];
    const routes = routesOfApp({
      app: app("a"),
      domains: [],
      placements: two.map((id) => placement(id, "a")),
      statuses: two.map((id) => status(id, "a")),
      withdrawals: [withdrawal("i-1")],
      appsDomain: "apps.test",
    });
    expect(routes.map((route) => route.endpoints)).toEqual([[endpoint("i-2")]]);
  });

  test("of an instance that another monitor withdrew as well count once", () => {
    const twice = [withdrawal("i-1"), withdrawal("i-1", 1, "m2"), withdrawal("i-2", 2)];
    expect([...honouredWithdrawals(ids.slice(0, 4).map(endpoint), twice)]).toEqual(["i-1", "i-2"]);
  });

  test("the oldest are honoured first", () => {
    const all = [withdrawal("i-1", 3), withdrawal("i-2", 1), withdrawal("i-3", 1)];
    expect([...honouredWithdrawals(ids.slice(0, 3).map(endpoint), all)]).toEqual(["i-2"]);
    expect([...honouredWithdrawals(ids.slice(0, 4).map(endpoint), all)]).toEqual(["i-2", "i-3"]);
  });

  test("of instances that are not ready take no room from others", () => {
    const all = [withdrawal("i-4", 0), withdrawal("i-2", 1)];
    expect([...honouredWithdrawals(["i-1", "i-2"].map(endpoint), all)]).toEqual(["i-2"]);
  });

  test("leave at least half of the ready endpoints, and always one, whatever monitors want", () => {
    const anyWithdrawal = fc
      .record({
        instanceId: fc.constantFrom(...ids),
        since: fc.nat(3),
        monitorId: fc.constantFrom("m1", "m2"),
      })
      .map(({ instanceId, since, monitorId }) => withdrawal(instanceId, since, monitorId));
    fc.assert(
      fc.property(fc.subarray(ids), fc.array(anyWithdrawal), (ready, withdrawals) => {
        const honoured = honouredWithdrawals(ready.map(endpoint), withdrawals);
        expect(ready.length - honoured.size).toBeGreaterThanOrEqual(Math.ceil(ready.length / 2));
        for (const id of honoured) expect(ready).toContain(id);
        const wanted = new Set(withdrawals.map(({ instanceId }) => instanceId));
        const possible = ready.filter((id) => wanted.has(id)).length;
        expect(honoured.size).toBe(Math.min(possible, Math.floor(ready.length / 2)));
      }),
    );
  });
});
