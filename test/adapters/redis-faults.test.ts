import { inspect } from "node:util";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import type { RouteTable } from "@dinp/core";
import { createRedisRouteTable } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { describeWithServices } from "../support/services.js";
import { OwnRedis, type OwnRedisOptions } from "./redis-support/own-redis.js";
import { eventually } from "./redis-support/eventually.js";
import { standStill } from "./support/stand-still.js";
import {
  apply,
  errorOf,
  hostsOf,
  onceUp,
  put,
  route,
  tableAt,
  uniqueCluster,
  watched,
} from "./redis-support/tables.js";

async function ownRedis(options?: OwnRedisOptions): Promise<OwnRedis> {
  const server = await OwnRedis.start(options);
  onTestFinished(() => server.dispose());
  return server;
}

/** Each call of a table, on top of what it is at. */
async function callsOf(table: RouteTable): Promise<readonly ((signal?: AbortSignal) => Promise<unknown>)[]> {
  const { version } = await table.snapshot();
  const withSignal = (signal: AbortSignal | undefined): { signal?: AbortSignal } =>
    signal === undefined ? {} : { signal };
  return [
    (signal) => table.snapshot(withSignal(signal)),
    (signal) => table.apply([put("late.test")], { epoch: 1, ifVersion: version, ...withSignal(signal) }),
    (signal) => table.acknowledge({ routerId: "r", version, busy: [] }, withSignal(signal)),
    (signal) => table.acknowledgements(withSignal(signal)),
  ];
}

describeWithServices(["redis"], "a route table whose Redis is paused", () => {
  it.each([0, 1, 2, 3])(
    "82 rejects in bounded time, whichever call is the first (%i), and recovers",
    async (first) => {
      const server = await ownRedis();
      const table = tableAt({ url: server.url }, { commandTimeoutMs: 200, connectTimeoutMs: 300 });
      await apply(tableAt({ url: server.url }), [put("a.test")]);
      // Its connection is there when the server stops.
      const calls = await onceUp(() => callsOf(table));
      server.pause();
      for (let index = 0; index < calls.length; index += 1) {
        const call = calls[(first + index) % calls.length];
        if (call === undefined) throw new Error("There is no such call.");
        expect(await errorOf(call())).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
      }
      server.resume();
      expect(await onceUp(() => hostsOf(table))).toContain("a.test");
      expect((await onceUp(() => apply(table, [put("b.test")]))).epoch).toBe(1);
    },
  );

  it("ends calls at once when their signal aborts, but for an apply that was sent", async () => {
    const server = await ownRedis();
    const table = tableAt({ url: server.url }, { commandTimeoutMs: 25_000, connectTimeoutMs: 25_000 });
    await apply(table, [put("a.test")]);
    const calls = await callsOf(table);
    server.pause();
    for (const call of [calls[0], calls[2], calls[3]]) {
      const controller = new AbortController();
      const ending = errorOf(call?.(controller.signal) ?? Promise.resolve());
      controller.abort();
      expect(await ending).toMatchObject({ code: "DINP_ABORTED" });
    }
    const controller = new AbortController();
    const made = calls[1]?.(controller.signal);
    // The connection is there, so it is sent within a few turns.
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    server.resume();
    expect(await made).toMatchObject({ epoch: 1 });
    expect(await hostsOf(table)).toEqual(["a.test", "late.test"]);
  });

  it("takes the answer that came while the process stood still, however long that was", async () => {
    const server = await ownRedis();
    const table = tableAt({ url: server.url }, { commandTimeoutMs: 500 });
    const version = await apply(table, [put("a.test")]);
    const made = table.apply([put("b.test")], { epoch: 1, ifVersion: version });
    await standStill(3_000);
    expect(await made).toMatchObject({ epoch: 1, revision: version.revision + 1 });
  });

  it("has watches that go on where they were, without a reset", async () => {
    const server = await ownRedis();
    const waits = { commandTimeoutMs: 200, connectTimeoutMs: 300, pollMs: 100 };
    const [writer, router] = [tableAt({ url: server.url }), tableAt({ url: server.url }, waits)];
    const first = await apply(writer, [put("a.test")]);
    const next = watched(router, first);
    const event = next();
    server.pause();
    // It notices: its polls are not answered any more.
    expect(await errorOf(router.acknowledgements())).toMatchObject({ code: "DINP_UNAVAILABLE" });
    server.resume();
    const second = await apply(writer, [put("b.test")]);
    expect(await event).toEqual({ type: "changes", version: second, changes: [put("b.test")] });
  });
});

describeWithServices(["redis"], "a route table whose Redis dies and comes back", () => {
  const durable = {
    lines: [
      ["appendonly", "yes"],
      ["appendfsync", "always"],
    ],
  } as const;

  it("80 has watches that miss nothing, while applies are cut off in the middle", async () => {
    const server = await ownRedis(durable);
    // What does not answer is dead: only its death may cut an apply off.
    const writer = tableAt({ url: server.url }, { commandTimeoutMs: 60_000 });
    const router = tableAt({ url: server.url });
    const seen = new Map<string, number>();
    let known = (await router.snapshot()).version;
    const controller = new AbortController();
    const following = (async () => {
      for (;;) {
        for await (const event of router.watch({ after: known, signal: controller.signal })) {
          if (event.type === "reset") break;
          for (const change of event.changes) {
            if (change.op === "put") seen.set(change.route.host, change.route.endpoints[0]?.port ?? 0);
          }
          known = event.version;
        }
        if (controller.signal.aborted) return;
        const { version, routes } = await onceUp(() => router.snapshot());
        seen.clear();
        for (const { host, endpoints } of routes) seen.set(host, endpoints[0]?.port ?? 0);
        known = version;
      }
    })();
    for (let round = 0; round < 6; round += 1) {
      let applied = 0;
      const cutOff = (async () => {
        for (;;) {
          await apply(writer, [put(`h${String(applied % 7)}.test`, 8_000 + round * 100 + (applied % 100))]);
          applied += 1;
        }
      })().catch(() => undefined);
      await eventually(() => applied > round);
      await server.kill();
      await cutOff;
      await server.start();
    }
    const last = await apply(writer, [put("last.test", 1)]);
    await eventually(() => known.incarnation === last.incarnation && known.revision >= last.revision);
    const { routes } = await writer.snapshot();
    expect([...seen].sort()).toEqual(routes.map(({ host, endpoints }) => [host, endpoints[0]?.port]).sort());
    controller.abort();
    await following;
  });

  it("says that it cannot be reached while it is down", async () => {
    const server = await ownRedis();
    const table = tableAt({ url: server.url });
    const calls = await callsOf(table);
    await server.kill();
    for (const call of calls) {
      expect(await errorOf(call())).toMatchObject({
        code: "DINP_UNAVAILABLE",
        retryable: true,
        hint: expect.stringMatching(/runs/) as string,
      });
    }
  });
});

describeWithServices(["redis"], "a route table whose Redis refuses", () => {
  it("82 because it is out of memory: nothing is changed, reading goes on, and the hint names the setting", async () => {
    const server = await ownRedis();
    const table = tableAt({ url: server.url });
    const before = await apply(table, [put("a.test")]);
    await server.command("CONFIG", "SET", "maxmemory", "1");
    const many = Array.from({ length: 2_500 }, (_, index) => put(`h${String(index)}.test`));
    for (const changes of [[put("b.test")], many]) {
      const error = await errorOf(table.apply(changes, { epoch: 1, ifVersion: before }));
      expect(error).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
      expect(error.hint).toContain("maxmemory");
    }
    const said = table.acknowledge({ routerId: "r", version: before, busy: [] });
    expect(await errorOf(said)).toMatchObject({ code: "DINP_UNAVAILABLE" });
    expect(await table.snapshot()).toEqual({ version: before, routes: [route("a.test")] });
    await server.command("CONFIG", "SET", "maxmemory", "0");
    const after = await table.apply([put("b.test")], { epoch: 1, ifVersion: before });
    expect(after).toEqual({ ...before, revision: before.revision + 1 });
  });

  it("because it is a replica: the hint says where to write, and reading works", async () => {
    const primary = await ownRedis();
    const replica = await ownRedis({ lines: [["replicaof", `127.0.0.1 ${String(primary.port)}`]] });
    const writer = tableAt({ url: primary.url });
    const version = await apply(writer, [put("a.test")]);
    const table = tableAt({ url: replica.url });
    await eventually(async () => (await table.snapshot()).version.revision === version.revision);
    const error = await errorOf(table.apply([put("b.test")], { epoch: 1, ifVersion: version }));
    expect(error).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    expect(error.message).toContain("read-only replica");
    expect(error.hint).toContain("primary");
    expect((await writer.snapshot()).version).toEqual(version);
  });

  it("because of a password: it is in no error, however deep one looks", async () => {
    const server = await ownRedis({ lines: [["requirepass", "right-secret"]] });
    const url = (password: string): string => `redis://:${password}@127.0.0.1:${String(server.port)}`;
    for (const place of [url("wrong-secret"), server.url]) {
      const error = await errorOf(tableAt({ url: place }).snapshot());
      expect(error).toMatchObject({ code: "DINP_UNAVAILABLE" });
      expect(error.message).toMatch(/password/);
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain("secret");
    }
    expect(await hostsOf(tableAt({ url: url("right-secret") }))).toEqual([]);
  });
});

describeWithServices(["redis"], "a route table that someone else wrote into", () => {
  let server: OwnRedis;
  beforeAll(async () => {
    server = await OwnRedis.start();
  });
  afterAll(() => server.dispose());

  it.each<[string, (key: (name: string) => string, bucket: string) => readonly [string, ...string[]]]>([
    ["a bucket is gone", (_, bucket) => ["DEL", bucket]],
    ["a route is no JSON", (_, bucket) => ["HSET", bucket, "a.test/", "{"]],
    [
      "a route has an illegal port",
      (_, bucket) => ["HSET", bucket, "a.test/", JSON.stringify(route("a.test", 99_999))],
    ],
    ["a route lacks its app", (_, bucket) => ["HSET", bucket, "a.test/", '{"host":"a.test","path":"/"}']],
    ["the revision is no number", (key) => ["HSET", key("meta"), "revision", "-1"]],
    ["the format is another", (key) => ["HSET", key("meta"), "format", "2"]],
    ["a key is of another type", (key) => ["SET", key("meta"), "x"]],
  ])("79 is refused when %s, and is new once its keys are deleted", async (_, damage) => {
    const cluster = uniqueCluster();
    const key = (name: string): string => `dinp:{${cluster}}:${name}`;
    const table = tableAt({ url: server.url }, { cluster });
    const past = await apply(table, [put("a.test")]);
    const keys = (await server.command("KEYS", key("*"))) as string[];
    const bucket = keys.find((each) => each.includes(":routes:")) ?? "";
    await server.command(...damage(key, bucket));
    const error = await errorOf(table.snapshot());
    expect(error).toMatchObject({ code: "DINP_CORRUPT" });
    expect(error.hint).toContain(key("*"));
    await server.command("DEL", ...((await server.command("KEYS", key("*"))) as string[]));
    const { version } = await table.snapshot();
    expect(version.incarnation).not.toBe(past.incarnation);
    expect(await apply(table, [put("a.test")])).toEqual({ ...version, epoch: 1, revision: 1 });
  });

  it("79 changes nothing when a key that it writes is of another type", async () => {
    const cluster = uniqueCluster();
    const table = tableAt({ url: server.url }, { cluster });
    const before = await apply(table, [put("a.test")]);
    await server.command("DEL", `dinp:{${cluster}}:changes`);
    await server.command("SET", `dinp:{${cluster}}:changes`, "x");
    const call = table.apply([put("b.test")], { epoch: 1, ifVersion: before });
    expect(await errorOf(call)).toMatchObject({ code: "DINP_CORRUPT" });
    expect(await server.command("HGET", `dinp:{${cluster}}:meta`, "revision")).toBe(String(before.revision));
    await server.command("DEL", `dinp:{${cluster}}:changes`);
    expect(await table.snapshot()).toEqual({ version: before, routes: [route("a.test")] });
  });

  it("leaves out an acknowledgement that is none: its router has acknowledged nothing", async () => {
    const cluster = uniqueCluster();
    const table = tableAt({ url: server.url }, { cluster });
    const version = await apply(table, [put("a.test")]);
    await server.command("HSET", `dinp:{${cluster}}:acknowledgements`, "r1", "{", "r2", '{"routerId":"r2"}');
    expect(await table.acknowledgements()).toEqual([]);
    await table.acknowledge({ routerId: "r1", version, busy: [] });
    expect(await table.acknowledgements()).toEqual([{ routerId: "r1", version, busy: [] }]);
  });
});

describeWithServices(["redis"], "a route table that Redis tells of news", () => {
  it("listens to what it is watched for alone: of what all routers say, no router is told", async () => {
    const server = await ownRedis();
    const [writer, router, leader] = [1, 2, 3].map(() => tableAt({ url: server.url })) as [
      RouteTable,
      RouteTable,
      RouteTable,
    ];
    const version = await apply(writer, [put("a.test")]);
    const listeners = async (): Promise<string> =>
      String(
        await server.command("PUBSUB", "NUMSUB", "dinp:{test}:changed", "dinp:{test}:acknowledged"),
      ).replaceAll(/\s+/g, ",");
    const event = watched(router, version)();
    await eventually(async () => /changed,1,.*acknowledged,0/.test(await listeners()));
    const controller = new AbortController();
    const hints = leader.watchAcknowledgements({ signal: controller.signal })[Symbol.asyncIterator]();
    const hint = hints.next();
    await eventually(async () => /changed,1,.*acknowledged,1/.test(await listeners()));
    await router.acknowledge({ routerId: "r", version, busy: [] });
    expect(await hint).toMatchObject({ done: false });
    controller.abort();
    await hints.return?.();
    await eventually(async () => /acknowledged,0/.test(await listeners()));
    await apply(writer, [put("b.test")]);
    expect(await event).toMatchObject({ type: "changes" });
  });
});

describeWithServices(["redis"], "a route table that Redis tells nothing", () => {
  it("80 has watches that see by themselves what they were not told", async () => {
    const server = await ownRedis();
    // Without a right to any channel.
    await server.command("ACL", "SETUSER", "deaf", "on", ">p", "~*", "resetchannels", "+@all");
    await server.command("ACL", "SETUSER", "mute", "on", ">p", "~*", "resetchannels", "allchannels", "+@all");
    const at = (user: string): RouteTable =>
      tableAt({ url: `redis://${user}:p@127.0.0.1:${String(server.port)}` }, { pollMs: 50 });
    const [writer, deaf] = [at("mute"), at("deaf")];
    const first = await apply(writer, [put("a.test")]);
    const event = watched(deaf, first)();
    const controller = new AbortController();
    onTestFinished(() => {
      controller.abort();
    });
    const hint = deaf.watchAcknowledgements({ signal: controller.signal })[Symbol.asyncIterator]().next();
    const second = await apply(writer, [put("b.test")]);
    expect(await event).toMatchObject({ type: "changes", version: second });
    await writer.acknowledge({ routerId: "r", version: second, busy: [] });
    expect(await hint).toMatchObject({ done: false });
  });

  it("has watches that go on at once when their connection was cut", async () => {
    const server = await ownRedis();
    const [writer, router] = [
      tableAt({ url: server.url }),
      tableAt({ url: server.url }, { pollMs: 600_000 }),
    ];
    const first = await apply(writer, [put("a.test")]);
    const next = watched(router, first);
    const event = next();
    await eventually(async () => Number(await server.command("CLIENT", "KILL", "TYPE", "pubsub")) === 1);
    const second = await apply(writer, [put("b.test")]);
    expect(await event).toMatchObject({ type: "changes", version: second });
  });
});

describeWithServices(["redis"], "a route table that is closed", () => {
  it("leaves no connection behind, also when it was closed in the middle of everything", async () => {
    const server = await ownRedis();
    const table = createRedisRouteTable({
      redis: { url: server.url },
      cluster: "test",
      random: createSystemRandom(),
    });
    const version = await apply(table, [put("a.test")]);
    const { signal } = new AbortController();
    const event = table.watch({ after: version, signal })[Symbol.asyncIterator]().next();
    const hint = table.watchAcknowledgements({ signal })[Symbol.asyncIterator]().next();
    server.pause();
    const reading = errorOf(table.snapshot());
    const closing = table.close();
    expect(await reading).toMatchObject({ code: "DINP_CLOSED" });
    expect(await event).toMatchObject({ done: true });
    expect(await hint).toMatchObject({ done: true });
    await closing;
    server.resume();
    await eventually(
      async () =>
        String(await server.command("CLIENT", "LIST"))
          .trim()
          .split("\n").length === 1,
    );
  });
});
