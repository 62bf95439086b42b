import assert from "node:assert/strict";
import type { Route, RouteTableVersion } from "../ports/route-table.js";
import { isDinpError } from "../model/errors.js";
import { later, letOthersRun, rejectsAsMisuse, rejectsWith, within } from "./conformance.js";
import { apply, placesOf, put, route, tableCase, type TableCase, versionOf } from "./route-table-harness.js";

export const applyCases: readonly TableCase[] = [
  tableCase("an apply puts, replaces and deletes routes as one new version", async ({ table }) => {
    const start = await versionOf(table);
    const first = await apply(table, [put("a.test"), put("b.test"), put("b.test", "/api")]);
    assert.deepEqual(first, { ...start, revision: start.revision + 1 });
    assert.deepEqual(await placesOf(table), ["a.test/", "b.test/", "b.test/api"]);
    const second = await apply(table, [
      put("a.test", "/", []),
      { op: "delete", host: "b.test", path: "/" },
      { op: "delete", host: "absent.test", path: "/" },
      put("c.test", "/", [8001, 8002]),
    ]);
    const { version, routes } = await table.snapshot();
    assert.deepEqual(version, second);
    assert.equal(second.revision, first.revision + 1);
    const byPlace = new Map(routes.map((item) => [`${item.host}${item.path}`, item]));
    assert.deepEqual([...byPlace.keys()].sort(), ["a.test/", "b.test/api", "c.test/"]);
    assert.deepEqual(byPlace.get("a.test/"), route("a.test", "/", []));
    assert.deepEqual(byPlace.get("c.test/"), route("c.test", "/", [8001, 8002]));
    const stopped: Route = { ...route("a.test", "/", []), unavailable: "stopped" };
    await apply(table, [{ op: "put", route: stopped }]);
    const { routes: last } = await table.snapshot();
    assert.deepEqual(
      last.find(({ host }) => host === "a.test"),
      stopped,
    );
  }),

  tableCase("an apply without changes is a new version too", async ({ table }) => {
    const start = await versionOf(table);
    const next = await apply(table, [], start.epoch + 3);
    assert.deepEqual(next, { ...start, epoch: start.epoch + 3, revision: start.revision + 1 });
  }),

  tableCase("a higher epoch becomes the table's, and a lower one is fenced", async ({ table }) => {
    const old = await apply(table, [put("a.test")], 5);
    assert.equal(old.epoch, 5);
    const newer = await apply(table, [put("b.test")], 7);
    assert.equal(newer.epoch, 7);
    const before = await table.snapshot();
    await rejectsWith("DINP_FENCED", () => table.apply([put("c.test")], { epoch: 6, ifVersion: newer }));
    await rejectsWith("DINP_FENCED", () => table.apply([put("c.test")], { epoch: 5, ifVersion: old }));
    assert.deepEqual(await table.snapshot(), before);
    assert.equal((await table.apply([], { epoch: 7, ifVersion: newer })).epoch, 7);
  }),

  tableCase("an apply to another version than the table's is refused", async ({ table }) => {
    const start = await versionOf(table);
    const first = await apply(table, [put("a.test")], 2);
    const before = await table.snapshot();
    const others: readonly RouteTableVersion[] = [
      start,
      { ...first, revision: first.revision + 1 },
      { ...first, epoch: first.epoch - 1 },
      { ...first, incarnation: `${first.incarnation}x` },
    ];
    for (const ifVersion of others) {
      await rejectsWith("DINP_ROUTE_VERSION", () => table.apply([put("b.test")], { epoch: 2, ifVersion }));
    }
    assert.deepEqual(await table.snapshot(), before);
  }),

  tableCase("of applies to one version at the same time one wins", async ({ table }) => {
    const ifVersion = await versionOf(table);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        table.apply([put(`h${String(index)}.test`)], { epoch: ifVersion.epoch, ifVersion }),
      ),
    );
    const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
    assert.equal(winners.length, 1);
    assert.deepEqual(await placesOf(table), [`h${String(winners[0])}.test/`]);
  }),

  tableCase("a reader sees the old or the new table, never a part, and never a hole", async ({ table }) => {
    const start = await apply(table, [put("a.test", "/", [8_000]), put("b.test", "/", [8_000])]);
    const writes = later(
      (async () => {
        for (let round = 1; round <= 30; round += 1) {
          const ports = [8_000 + round];
          await apply(table, [put("a.test", "/", ports), put("b.test", "/", ports)]);
        }
      })(),
    );
    for (let round = 0; round < 60; round += 1) {
      const { version, routes } = await table.snapshot();
      const port = 8_000 + version.revision - start.revision;
      assert.deepEqual(
        routes.map(({ endpoints }) => endpoints.map((endpoint) => endpoint.port)),
        [[port], [port]],
      );
    }
    await writes;
  }),

  tableCase("what is no route is misuse", async ({ table }) => {
    const before = await table.snapshot();
    await rejectsAsMisuse(() => apply(table, [put("a.test"), put("a.test")]));
    await rejectsAsMisuse(() => apply(table, [put("a.test"), { op: "delete", host: "a.test", path: "/" }]));
    await rejectsAsMisuse(() => apply(table, [put("A.test")]));
    await rejectsAsMisuse(() => apply(table, [put("")]));
    await rejectsAsMisuse(() => apply(table, [put("a.test", "api")]));
    await rejectsAsMisuse(() => apply(table, [put("a.test", "/api/")]));
    for (const port of [0, 65_536, 1.5])
      await rejectsAsMisuse(() => apply(table, [put("a.test", "/", [port])]));
    await rejectsAsMisuse(() =>
      apply(table, [{ op: "put", route: { ...route("a.test"), unavailable: "stopped" } }]),
    );
    await rejectsAsMisuse(() =>
      apply(table, [{ op: "put", route: { ...route("a.test", "/", []), unavailable: null } }]),
    );
    await rejectsAsMisuse(() => apply(table, [], -1));
    assert.deepEqual(await table.snapshot(), before);
  }),

  tableCase("an apply may change thousands of routes", async ({ table }) => {
    const start = await versionOf(table);
    const changes = Array.from({ length: 3_000 }, (_, index) => put(`h${String(index)}.test`));
    const version = await apply(table, changes);
    assert.equal(version.revision, start.revision + 1);
    assert.equal((await table.snapshot()).routes.length, changes.length);
  }),

  tableCase(
    "an apply that is aborted while it runs is made, or rejects with DINP_ABORTED and is not",
    async ({ table }) => {
      for (let rounds = 0; rounds < 8; rounds += 1) {
        const ifVersion = await versionOf(table);
        const host = `h${String(rounds)}.test`;
        const controller = new AbortController();
        const { signal } = controller;
        const outcome = later(
          within(table.apply([put(host)], { epoch: ifVersion.epoch, ifVersion, signal }), "an apply").then(
            () => true,
            (error: unknown) => {
              if (isDinpError(error, "DINP_ABORTED")) return false;
              throw error;
            },
          ),
        );
        if (rounds > 0) await letOthersRun(rounds);
        controller.abort(new Error("of the caller"));
        assert.equal((await outcome) === (await placesOf(table)).includes(`${host}/`), true, host);
      }
    },
  ),
];
