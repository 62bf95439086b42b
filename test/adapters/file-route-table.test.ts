import { EventEmitter, once } from "node:events";
import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { isDinpError, type RouteTable, type RouteTableEvent } from "@dinp/core";
import { createFileRouteTable, readRouteFile, type FileRouteTable } from "@dinp/core/file";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createSystemRandom } from "@dinp/core/system";
import { routeTableSuite } from "@dinp/core/testing";
import { TableFile } from "../../src/adapters/file/table-file.js";
import { Lines, openTable, served, shop, tableOver, tableText, tempFolder } from "./file-support.js";

const until = { timeout: 60_000, interval: 10 };
const oneBack = { ...shop, endpoints: ["10.0.0.7:8080"] };
const SHOP = "shop.test/ → 10.0.0.5:8080 10.0.0.6:8080";
const ONE_BACK = "shop.test/ → 10.0.0.7:8080";

describe("file route table: the contract", () => {
  const historyMax = 40;
  // A file that cannot be read is no outage to readers: the last good table is served.
  const suite = routeTableSuite(
    async () => {
      const folder = await tempFolder();
      const path = join(folder, "routes.json");
      await writeFile(path, '{"routes": []}');
      const table = tableOver(path, new Lines(), { historyMax });
      await table.open();
      return { table, appliesToReset: 2 * historyMax, outage: null, dispose: () => table.close() };
    },
    { supports: { outage: false } },
  );
  for (const { name, run } of suite) it(name, run);
});

describe("a route file that is edited", () => {
  it("is served, with endpoint ids that are its addresses, and the edit is one version of what differs", async () => {
    const blog = { host: "blog.test", path: "/en", app: "blog", endpoints: ["[2001:db8::5]:80"] };
    const { path, table } = await openTable(tableText(shop, blog));
    const { version, routes } = await table.snapshot();
    expect(routes[0]).toEqual({
      host: "blog.test",
      path: "/en",
      appId: "blog",
      appName: "blog",
      endpoints: [{ instanceId: "[2001:db8::5]:80", host: "2001:db8::5", port: 80 }],
      unavailable: null,
    });
    const next = firstEvent(table, version);
    await writeFile(path, tableText(oneBack, blog));
    const event = await next;
    expect(event).toMatchObject({
      type: "changes",
      version: { ...version, revision: version.revision + 1 },
      changes: [{ op: "put", route: { host: "shop.test", endpoints: [{ instanceId: "10.0.0.7:8080" }] } }],
    });
    expect(table.problem()).toBeNull();
  });

  it("is followed when it is replaced by another file, and when a link is switched to one", async () => {
    const { path, folder, table } = await openTable(tableText(shop));
    await writeFile(join(folder, "new"), tableText(oneBack));
    await rename(join(folder, "new"), path);
    await expect.poll(() => served(table), until).toEqual([ONE_BACK]);

    await mkdir(join(folder, "data"));
    await writeFile(join(folder, "data", "routes.json"), tableText(shop));
    await symlink(join(folder, "data", "routes.json"), join(folder, "link"));
    await rename(join(folder, "link"), path);
    await expect.poll(() => served(table), until).toEqual([SHOP]);
  });

  it("is followed where the operating system tells nothing: in a folder that took the place of the watched one", async () => {
    const { path, folder, table } = await openTable(tableText(shop));
    await rename(folder, `${folder}-old`);
    onTestFinished(() => rm(`${folder}-old`, { recursive: true }));
    await mkdir(folder);
    await writeFile(path, tableText(oneBack));
    await expect.poll(() => served(table), until).toEqual([ONE_BACK]);
    await writeFile(path, tableText(shop));
    await expect.poll(() => served(table), until).toEqual([SHOP]);
  });

  it("is served as it was while an editor has emptied it or moved it away, and nothing is said of that", async () => {
    // Long enough for this test's own writing, on a machine of any speed.
    const { path, table, lines } = await openTable(tableText(shop), { settleMs: 60_000 });
    for (const [text, expected] of [
      [tableText(oneBack), ONE_BACK],
      [tableText(shop), SHOP],
    ] as const) {
      await truncate(path);
      await lookedAt(table);
      await writeFile(path, text);
      await expect.poll(() => served(table), until).toEqual([expected]);
      await rename(path, `${path}~`);
      await lookedAt(table);
      await rename(`${path}~`, path);
    }
    await table.reread();
    expect(lines.warnings).toEqual([]);
  });

  it("keeps the last good table after a bad edit or a deletion, says why once, and recovers", async () => {
    const { path, table, lines } = await openTable(tableText(shop));
    const { version } = await table.snapshot();
    await writeFile(path, tableText({ ...shop, endpoints: ["10.0.0.5:99999"] }));
    await expect
      .poll(() => table.problem(), until)
      .toContain('routes[0].endpoints[0]: "10.0.0.5:99999" has a port');
    await rm(path);
    await expect.poll(() => table.problem(), until).toBe("there is no such file");
    await table.reread();
    expect(lines.warnings).toHaveLength(2);
    expect(await table.snapshot()).toMatchObject({ version });
    expect(await served(table)).toEqual([SHOP]);
    await writeFile(path, tableText(shop));
    await expect.poll(() => table.problem(), until).toBeNull();
    expect(await table.snapshot()).toMatchObject({ version });
  });

  it("ends with its last text after a storm of edits, and every version on the way is a whole one", async () => {
    const { path, table } = await openTable(tableText(shop));
    const { version } = await table.snapshot();
    const control = new AbortController();
    onTestFinished(() => {
      control.abort();
    });
    const ports: number[] = [];
    const following = (async () => {
      for await (const event of table.watch({ after: version, signal: control.signal })) {
        if (event.type === "reset") throw new Error("The history is long enough.");
        for (const change of event.changes) {
          if (change.op === "put") ports.push(...change.route.endpoints.map(({ port }) => port));
        }
      }
    })();
    for (let port = 1; port <= 300; port += 1) {
      await writeFile(path, tableText({ ...shop, endpoints: [`10.0.0.5:${String(port)}`] }));
    }
    await expect.poll(() => served(table), until).toEqual(["shop.test/ → 10.0.0.5:300"]);
    control.abort();
    await following;
    expect(ports).toEqual([...ports].sort((left, right) => left - right));
    expect(table.problem()).toBeNull();
  });

  it("is looked at once after a storm of edits that came while an apply took long", async () => {
    const path = join(await tempFolder(), "routes.json");
    await writeFile(path, tableText(shop));
    const memory = createMemoryRouteTable({ random: createSystemRandom() });
    const gate = new EventEmitter();
    let isHeld = false;
    const apply: RouteTable["apply"] = async (changes, options) => {
      if (isHeld) {
        gate.emit("held");
        await once(gate, "open");
      }
      return memory.apply(changes, options);
    };
    const versions: RouteTable = {
      apply,
      snapshot: (options) => memory.snapshot(options),
      watch: (options) => memory.watch(options),
      acknowledge: (...call) => memory.acknowledge(...call),
      acknowledgements: (options) => memory.acknowledgements(options),
      watchAcknowledgements: (options) => memory.watchAcknowledgements(options),
      close: () => memory.close(),
    };
    const table = createFileRouteTable({ path, versions, logger: new Lines() });
    await table.open();
    onTestFinished(() => table.close());
    const { version } = await table.snapshot();
    isHeld = true;
    const held = once(gate, "held");
    const applied = table.apply([], { epoch: 1, ifVersion: version });
    await held;
    // Hints are followed in time of the clock.
    for (let round = 0; round < 20; round += 1) {
      await writeFile(path, tableText({ ...shop, app: `shop-${String(round)}` }));
      await delay(30);
    }
    const read = vi.spyOn(TableFile.prototype, "read");
    onTestFinished(() => {
      read.mockRestore();
    });
    isHeld = false;
    gate.emit("open");
    await applied;
    await table.reread();
    expect(read.mock.calls.length).toBeLessThanOrEqual(4);
    expect((await table.snapshot()).routes[0]?.appName).toBe("shop-19");
  });

  it("may have 10,000 routes, of which an edit changes one", async () => {
    const routes = Array.from({ length: 10_000 }, (_, index) => ({
      host: `app-${String(index)}.test`,
      app: `app-${String(index)}`,
      endpoints: [`10.0.0.5:${String(20_000 + index)}`],
    }));
    const { path, table } = await openTable(tableText(...routes));
    const { version } = await table.snapshot();
    const next = firstEvent(table, version);
    await writeFile(path, tableText(...routes.slice(1)));
    expect(await next).toMatchObject({ changes: [{ op: "delete", host: "app-0.test", path: "/" }] });
    expect((await table.snapshot()).routes).toHaveLength(9_999);
  });
});

describe("a route file that the platform writes", () => {
  it("has what was applied, for people and for the next process, and keeps its mode and its epoch", async () => {
    const { path, folder, table } = await openTable(tableText(shop));
    const { version, routes } = await table.snapshot();
    const { mode } = await stat(path);
    const route = {
      host: "blog.test",
      path: "/",
      appId: "app-1",
      appName: "blog",
      endpoints: [{ instanceId: "i-1", host: "10.0.0.9", port: 80 }],
      unavailable: null,
    };
    await table.apply([{ op: "put", route }], { epoch: 4, ifVersion: version });
    expect(await readFile(path, "utf8")).toBe(`{
  "epoch": 4,
  "routes": [
    {"host":"blog.test","path":"/","app":"blog","appId":"app-1","endpoints":[{"id":"i-1","address":"10.0.0.9:80"}]},
    {"host":"shop.test","path":"/","app":"shop","endpoints":["10.0.0.5:8080","10.0.0.6:8080"]}
  ]
}
`);
    expect(await readdir(folder)).toEqual(["routes.json"]);
    expect((await stat(path)).mode).toBe(mode);
    const again = tableOver(path, new Lines());
    onTestFinished(() => again.close());
    await again.open();
    const read = await again.snapshot();
    expect(read.routes).toEqual([route, ...routes]);
    expect(read.version.epoch).toBe(4);
    await expect(again.apply([], { epoch: 3, ifVersion: read.version })).rejects.toMatchObject({
      code: "DINP_FENCED",
    });
  });

  it("is not written over while it has an edit that was not seen, or that cannot be used", async () => {
    const { path, table } = await openTable(tableText(shop));
    const { version } = await table.snapshot();
    const remove = [{ op: "delete", host: "shop.test", path: "/" }] as const;
    await writeFile(path, tableText(oneBack));
    await expect(table.apply(remove, { epoch: 1, ifVersion: version })).rejects.toMatchObject({
      code: "DINP_ROUTE_VERSION",
    });
    expect(await served(table)).toEqual([ONE_BACK]);
    const { version: seen } = await table.snapshot();
    await writeFile(path, "{");
    await expect(table.apply(remove, { epoch: 1, ifVersion: seen })).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: true,
    });
    expect(await readFile(path, "utf8")).toBe("{");
    await rm(path);
    await table.apply(remove, { epoch: 1, ifVersion: seen });
    expect(await readRouteFile(path)).toEqual([]);
  });
});

describe("a route file that cannot be used", () => {
  const bad: readonly (readonly [text: string, says: string])[] = [
    ["", "the file is empty"],
    ['{"routes": [}', "it is not JSON: Unexpected token '}'"],
    [
      `{\n  "routes": [\n    {"host": "shop.test", "app": shop, "endpoints": []}\n  ]\n}`,
      "(line 3, column 34)",
    ],
    ['{"routes": [', "(line 1, column 13)"],
    ["[]", "the file: must be an object, not an empty list"],
    ["{}", "routes: is missing"],
    ['{"route": []}', 'there is no key "route"; did you mean "routes"?'],
    ['{"routes": {}}', "routes: must be a list, not an object"],
    ['{"epoch": -1, "routes": []}', "epoch: -1"],
    [
      tableText({ ...shop, host: "Shop.test" }),
      'routes[0].host: "Shop.test" must be in lower case: shop.test',
    ],
    [tableText({ ...shop, host: "shop.test:99999" }), 'routes[0].host: "shop.test:99999" must have no port'],
    [tableText({ ...shop, host: "a b" }), 'routes[0].host: "a b" must be a host name'],
    [tableText({ ...shop, host: "shop.test." }), "no dot at its end"],
    [tableText({ ...shop, path: "/a/" }), 'routes[0].path: "/a/" must be'],
    [tableText({ ...shop, path: "a" }), 'routes[0].path: "a" must be'],
    [tableText({ ...shop, app: "" }), 'routes[0].app: "" must not be empty'],
    [
      tableText({ ...shop, endpoints: ["10.0.0.5"] }),
      'routes[0].endpoints[0]: "10.0.0.5" must be "HOST:PORT"',
    ],
    [tableText({ ...shop, endpoints: ["10.0.0.5:0"] }), "has a port that is not 1 to 65535"],
    [tableText({ ...shop, endpoints: ["10.0.0.555:80"] }), "neither an IP address nor a name"],
    [tableText({ ...shop, endpoints: ["[::g]:80"] }), "has no IPv6 address"],
    [tableText({ ...shop, endpoints: ["a:1", "a:1"] }), 'routes[0].endpoints: "a:1" is there twice'],
    [tableText(shop, oneBack), 'routes[1]: "shop.test/" is a route already, see routes[0]'],
    ['{"routes": [{"host": "a.test", "app": "a", "endpoint": []}]}', 'routes[0]: there is no key "endpoint"'],
    ['{"routes": [{"host": "a.test", "app": "a", "endpoints": [5]}]}', "routes[0].endpoints[0]: must be"],
    [
      '{"routes": [{"host": "a.test", "app": "a", "endpoints": [{"id": "i", "adress": "a:1"}]}]}',
      'there is no key "adress"; did you mean "address"?',
    ],
    [
      '{"routes": [{"host": "a.test", "app": "a", "endpoints": [], "unavailable": "no"}]}',
      'routes[0].unavailable: "no" must be "stopped"',
    ],
    ["[".repeat(200_000), "it is not JSON"],
    [`${"[".repeat(50_000)}${"]".repeat(50_000)}`, "the file: must be an object"],
  ];
  for (const [text, says] of bad) {
    it(`79 is refused: ${says}`, async () => {
      const folder = await tempFolder();
      const path = join(folder, "routes.json");
      await writeFile(path, text);
      const table = tableOver(path, new Lines());
      const error: unknown = await table.open().catch((reason: unknown) => reason);
      await table.close();
      expect(isDinpError(error, "DINP_INVALID")).toBe(true);
      expect(String(error)).toContain(says);
      expect(String(error)).toContain(path);
      expect(String(error).length).toBeLessThan(2_000);
    });
  }

  it("is told apart: missing, a folder, too large", async () => {
    const folder = await tempFolder();
    await expect(readRouteFile(join(folder, "none"))).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
    await expect(readRouteFile(folder)).rejects.toMatchObject({ code: "DINP_INVALID" });
    const large = join(folder, "large");
    await writeFile(large, "");
    await truncate(large, 1024 ** 3);
    await expect(readRouteFile(large)).rejects.toMatchObject({ code: "DINP_TOO_LARGE" });
  });
});

/** Has the table look at its file, and gives it time to find what it finds. */
async function lookedAt(table: FileRouteTable): Promise<void> {
  const looking = table.reread();
  const soon = new Promise((resolve) => setTimeout(resolve, 100));
  await Promise.race([looking, soon]);
}

async function firstEvent(
  table: FileRouteTable,
  after: Parameters<FileRouteTable["watch"]>[0]["after"],
): Promise<RouteTableEvent> {
  const { signal } = new AbortController();
  for await (const event of table.watch({ after, signal })) return event;
  throw new Error("The watch ended.");
}
