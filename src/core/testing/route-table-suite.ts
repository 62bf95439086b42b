import assert from "node:assert/strict";
import type {
  Route,
  RouteChange,
  RouterAcknowledgement,
  RouteTable,
  RouteTableEvent,
  RouteTableVersion,
} from "../ports/route-table.js";
import {
  collect,
  Reader,
  rejectsAsMisuse,
  rejectsWith,
  vandalize,
  within,
  type ConformanceCase,
} from "./conformance.js";

/** What the suite needs of the table under test; one is made for each case. */
export interface RouteTableHarness {
  /** Without routes and acknowledgements. */
  readonly table: RouteTable;
  /** After so many applies, a watch from before them gets `reset`. At most a few thousand. */
  readonly appliesToReset: number;
  readonly dispose: () => Promise<void>;
}

/** The contract of the `RouteTable` port, case by case. */
export function routeTableSuite(create: () => Promise<RouteTableHarness>): readonly ConformanceCase[] {
  return Object.entries(cases).map(([name, body]) => ({
    name,
    run: async () => {
      const harness = await create();
      try {
        await body(harness);
      } finally {
        await harness.dispose();
      }
    },
  }));
}

function route(host: string, path = "/", ports: readonly number[] = [8001]): Route {
  return {
    host,
    path,
    appId: `app-of-${host}`,
    appName: "app",
    endpoints: ports.map((port) => ({ instanceId: `i-${String(port)}`, host: "10.0.0.1", port })),
    unavailable: ports.length === 0 ? "no-ready-instance" : null,
  };
}

function put(host: string, path?: string, ports?: readonly number[]): RouteChange {
  return { op: "put", route: route(host, path, ports) };
}

async function versionOf(table: RouteTable): Promise<RouteTableVersion> {
  return (await table.snapshot()).version;
}

/** Applies on top of what is there. */
async function apply(
  table: RouteTable,
  changes: readonly RouteChange[],
  epoch?: number,
): Promise<RouteTableVersion> {
  const ifVersion = await versionOf(table);
  return table.apply(changes, { epoch: epoch ?? ifVersion.epoch, ifVersion });
}

async function placesOf(table: RouteTable): Promise<readonly string[]> {
  return (await table.snapshot()).routes.map(({ host, path }) => `${host}${path}`).sort();
}

function acknowledgement(
  routerId: string,
  version: RouteTableVersion,
  busy: readonly string[] = [],
): RouterAcknowledgement {
  return { routerId, version, busy };
}

async function watched(table: RouteTable, after?: RouteTableVersion) {
  const controller = new AbortController();
  const from = after ?? (await versionOf(table));
  const reader = new Reader<RouteTableEvent>(table.watch({ after: from, signal: controller.signal }));
  return {
    reader,
    stop: () => {
      controller.abort();
    },
  };
}

const cases: Readonly<Record<string, (harness: RouteTableHarness) => Promise<void>>> = {
  "an apply puts, replaces and deletes routes as one new version": async ({ table }) => {
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
  },

  "an apply without changes is a new version too": async ({ table }) => {
    const start = await versionOf(table);
    const next = await apply(table, [], start.epoch + 3);
    assert.deepEqual(next, { ...start, epoch: start.epoch + 3, revision: start.revision + 1 });
  },

  "a higher epoch becomes the table's, and a lower one is fenced": async ({ table }) => {
    const old = await apply(table, [put("a.test")], 5);
    assert.equal(old.epoch, 5);
    const newer = await apply(table, [put("b.test")], 7);
    assert.equal(newer.epoch, 7);
    const before = await table.snapshot();
    await rejectsWith("DINP_FENCED", () => table.apply([put("c.test")], { epoch: 6, ifVersion: newer }));
    await rejectsWith("DINP_FENCED", () => table.apply([put("c.test")], { epoch: 5, ifVersion: old }));
    assert.deepEqual(await table.snapshot(), before);
    assert.equal((await table.apply([], { epoch: 7, ifVersion: newer })).epoch, 7);
  },

  "an apply to another version than the table's is refused": async ({ table }) => {
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
  },

  "of applies to one version at the same time one wins": async ({ table }) => {
    const ifVersion = await versionOf(table);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        table.apply([put(`h${String(index)}.test`)], { epoch: ifVersion.epoch, ifVersion }),
      ),
    );
    const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
    assert.equal(winners.length, 1);
    assert.deepEqual(await placesOf(table), [`h${String(winners[0])}.test/`]);
  },

  "a reader sees the old or the new table, never a part": async ({ table }) => {
    const writes = (async () => {
      for (let round = 0; round < 30; round += 1) {
        const ports = [8_000 + round];
        await apply(table, [put("a.test", "/", ports), put("b.test", "/", ports)]);
      }
    })();
    for (let round = 0; round < 60; round += 1) {
      const { routes } = await table.snapshot();
      assert.ok(routes.length === 0 || routes.length === 2);
      assert.deepEqual(routes[0]?.endpoints, routes[1]?.endpoints);
    }
    await writes;
  },

  "routes go in and come out as copies": async ({ table }) => {
    const start = await versionOf(table);
    const mine = { ...route("a.test"), endpoints: [{ instanceId: "i", host: "h", port: 1 }] };
    const expected = structuredClone(mine);
    await apply(table, [{ op: "put", route: mine }]);
    vandalize(mine);
    vandalize(await table.snapshot());
    const { reader, stop } = await watched(table, start);
    vandalize(await reader.next());
    stop();
    assert.deepEqual((await table.snapshot()).routes, [expected]);
  },

  "a watch yields every later version with its changes, in order": async ({ table }) => {
    const start = await versionOf(table);
    const { reader, stop } = await watched(table, start);
    const live = reader.next();
    const first = await apply(table, [put("a.test"), put("b.test")]);
    const changes = [put("a.test"), put("b.test")];
    assert.deepEqual(await live, { type: "changes", version: first, changes });
    const second = await apply(table, [{ op: "delete", host: "a.test", path: "/" }], 9);
    assert.deepEqual(await reader.next(), {
      type: "changes",
      version: second,
      changes: [{ op: "delete", host: "a.test", path: "/" }],
    });
    const late = await watched(table, first);
    assert.deepEqual(await late.reader.next(), {
      type: "changes",
      version: second,
      changes: [{ op: "delete", host: "a.test", path: "/" }],
    });
    stop();
    late.stop();
    await reader.expectEnd();
    await late.reader.expectEnd();
  },

  "no version is lost while many are made and read": async ({ table }) => {
    const start = await versionOf(table);
    const watches = [await watched(table), await watched(table)];
    const reads = watches.map(({ reader }) => reader.take(50));
    for (let round = 0; round < 50; round += 1) await apply(table, [put(`h${String(round)}.test`)]);
    for (const events of await Promise.all(reads)) {
      assert.deepEqual(
        events.map((event) => (event.type === "changes" ? event.version.revision : -1)),
        Array.from({ length: 50 }, (_, index) => start.revision + 1 + index),
      );
    }
    for (const { stop } of watches) stop();
  },

  "a watch from a version that the table never had gets a reset and ends": async ({ table }) => {
    const version = await apply(table, [put("a.test")], 4);
    await apply(table, [put("b.test")]);
    const strangers: readonly RouteTableVersion[] = [
      { ...version, incarnation: `${version.incarnation}x` },
      { ...version, epoch: version.epoch - 1 },
      { ...version, revision: version.revision + 9 },
    ];
    for (const after of strangers) {
      const { reader } = await watched(table, after);
      assert.deepEqual(await reader.next(), { type: "reset" });
      await reader.expectEnd();
    }
  },

  "a watch from behind the end of the history gets a reset and ends": async ({ table, appliesToReset }) => {
    const start = await versionOf(table);
    let version = start;
    let previous = start;
    for (let round = 0; round < appliesToReset; round += 1) {
      previous = version;
      version = await table.apply([put("a.test")], { epoch: 0, ifVersion: version });
    }
    const { reader } = await watched(table, start);
    assert.deepEqual(await reader.next(), { type: "reset" });
    await reader.expectEnd();
    const near = await watched(table, previous);
    assert.equal((await near.reader.next()).type, "changes");
    near.stop();
  },

  "a watch ends without an error when its signal aborts": async ({ table }) => {
    const after = await versionOf(table);
    const signal = AbortSignal.abort();
    assert.deepEqual(await within(collect(table.watch({ after, signal })), "the end"), []);
    assert.deepEqual(await within(collect(table.watchAcknowledgements({ signal })), "the end"), []);
    const { reader, stop } = await watched(table);
    const end = reader.expectEnd();
    stop();
    await end;
  },

  "the newest acknowledgement of each router is kept": async ({ table }) => {
    assert.deepEqual(await table.acknowledgements(), []);
    const first = await apply(table, [put("a.test")], 1);
    const second = await apply(table, [put("b.test")], 2);
    await table.acknowledge(acknowledgement("r1", first, ["i-1"]));
    await table.acknowledge(acknowledgement("r2", second));
    await table.acknowledge(acknowledgement("r1", second, ["i-1", "i-2"]));
    await table.acknowledge(acknowledgement("r1", first));
    const all = [...(await table.acknowledgements())].sort((a, b) => (a.routerId < b.routerId ? -1 : 1));
    assert.deepEqual(all, [acknowledgement("r1", second, ["i-1", "i-2"]), acknowledgement("r2", second)]);
    await table.acknowledge(acknowledgement("r1", second, ["i-2"]));
    const again = (await table.acknowledgements()).find(({ routerId }) => routerId === "r1");
    assert.deepEqual(again, acknowledgement("r1", second, ["i-2"]));
  },

  "an acknowledgement of the table's past incarnation gives way to one of the present": async ({ table }) => {
    const present = await apply(table, [put("a.test")], 1);
    const past = { incarnation: `${present.incarnation}-old`, epoch: 99, revision: 999 };
    await table.acknowledge(acknowledgement("r", past));
    await table.acknowledge(acknowledgement("r", present));
    await table.acknowledge(acknowledgement("r", past));
    assert.deepEqual(await table.acknowledgements(), [acknowledgement("r", present)]);
  },

  "an acknowledgement of a version that is still to come is refused": async ({ table }) => {
    const version = await apply(table, [put("a.test")], 1);
    for (const future of [
      { ...version, revision: version.revision + 1 },
      { ...version, epoch: version.epoch + 1 },
    ]) {
      await rejectsWith("DINP_ROUTE_VERSION", () => table.acknowledge(acknowledgement("r", future)));
    }
    assert.deepEqual(await table.acknowledgements(), []);
  },

  "a change of acknowledgements wakes their watchers, also when it came before the first read": async ({
    table,
  }) => {
    const controller = new AbortController();
    const version = await versionOf(table);
    const hints = new Reader<unknown>(table.watchAcknowledgements({ signal: controller.signal }));
    await table.acknowledge(acknowledgement("r", version));
    await hints.next();
    const next = hints.next();
    await table.acknowledge(acknowledgement("r", version, ["i"]));
    await next;
    controller.abort();
    await hints.expectEnd();
  },

  "what is no route is misuse": async ({ table }) => {
    const before = await table.snapshot();
    await rejectsAsMisuse(() => apply(table, [put("a.test"), put("a.test")]));
    await rejectsAsMisuse(() => apply(table, [put("a.test"), { op: "delete", host: "a.test", path: "/" }]));
    await rejectsAsMisuse(() => apply(table, [put("A.test")]));
    await rejectsAsMisuse(() => apply(table, [put("")]));
    await rejectsAsMisuse(() => apply(table, [put("a.test", "api")]));
    await rejectsAsMisuse(() => apply(table, [put("a.test", "/api/")]));
    for (const port of [0, 65_536, 1.5])
      await rejectsAsMisuse(() => apply(table, [put("a.test", "/", [port])]));
    await rejectsAsMisuse(() => apply(table, [], -1));
    assert.deepEqual(await table.snapshot(), before);
  },

  "an aborted signal rejects every call with DINP_ABORTED and changes nothing": async ({ table }) => {
    const before = await table.snapshot();
    const { version } = before;
    const signal = AbortSignal.abort();
    await rejectsWith("DINP_ABORTED", () => table.snapshot({ signal }));
    await rejectsWith("DINP_ABORTED", () =>
      table.apply([put("a.test")], { epoch: 1, ifVersion: version, signal }),
    );
    await rejectsWith("DINP_ABORTED", () => table.acknowledge(acknowledgement("r", version), { signal }));
    await rejectsWith("DINP_ABORTED", () => table.acknowledgements({ signal }));
    assert.deepEqual(await table.snapshot(), before);
    assert.deepEqual(await table.acknowledgements(), []);
  },

  "close ends watches, and after it every method rejects with DINP_CLOSED": async ({ table }) => {
    const version = await versionOf(table);
    const { signal } = new AbortController();
    const { reader } = await watched(table);
    const hints = new Reader<unknown>(table.watchAcknowledgements({ signal }));
    const ends = [reader.expectEnd(), hints.expectEnd()];
    await table.snapshot();
    await table.close();
    await table.close();
    await Promise.all(ends);
    await rejectsWith("DINP_CLOSED", () => table.snapshot());
    await rejectsWith("DINP_CLOSED", () => table.apply([], { epoch: 1, ifVersion: version }));
    await rejectsWith("DINP_CLOSED", () => table.acknowledge(acknowledgement("r", version)));
    await rejectsWith("DINP_CLOSED", () => table.acknowledgements());
    await rejectsWith("DINP_CLOSED", () => collect(table.watch({ after: version, signal })));
    await rejectsWith("DINP_CLOSED", () => collect(table.watchAcknowledgements({ signal })));
  },
};
