import { afterAll, beforeAll, expect, it } from "vitest";
import type { RouteChange } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { OwnRedis } from "./redis-support/own-redis.js";
import { errorOf, put, tableAt, uniqueCluster, watched } from "./redis-support/tables.js";

const ROUTES = 5_000;

function all(port: number, from = 0): readonly RouteChange[] {
  return Array.from({ length: ROUTES - from }, (_, index) => put(`h${String(from + index)}.test`, port));
}

describeWithServices(["redis"], "a large route table in Redis", () => {
  let server: OwnRedis;
  beforeAll(async () => {
    server = await OwnRedis.start();
  });
  afterAll(() => server.dispose());

  it("is read as of one version while it is changed, in small steps and as a whole", async () => {
    const cluster = uniqueCluster();
    const [writer, reader] = [
      tableAt({ url: server.url }, { cluster }),
      tableAt({ url: server.url }, { cluster }),
    ];
    let version = (await writer.snapshot()).version;
    const start = version.revision;
    const written = new AbortController();
    const writing = (async () => {
      for (let round = 1; round <= 60; round += 1) {
        // The first and the last of each version always have one port: that of its revision.
        const changes = round % 12 === 1 ? all(round, 2) : [];
        version = await writer.apply([put("h0.test", round), put("h1.test", round), ...changes], {
          epoch: 1,
          ifVersion: version,
        });
      }
    })().finally(() => {
      written.abort();
    });
    let readings = 0;
    while (!written.signal.aborted || readings === 0) {
      const snapshot = await reader.snapshot();
      const round = snapshot.version.revision - start;
      if (round === 0) continue;
      readings += 1;
      expect(snapshot.routes.length).toBe(ROUTES);
      const ports = new Map(snapshot.routes.map(({ host, endpoints }) => [host, endpoints[0]?.port]));
      expect([ports.get("h0.test"), ports.get("h1.test")]).toEqual([round, round]);
      const whole = round - ((round - 1) % 12);
      expect(new Set([...ports].slice(2).map(([, port]) => port)).size).toBeLessThanOrEqual(2);
      expect(ports.get("h4999.test")).toBe(whole);
    }
    await writing;
  });

  it("is left as it is by a large apply that was aborted or is not alone", async () => {
    const cluster = uniqueCluster();
    const table = tableAt({ url: server.url }, { cluster });
    const other = tableAt({ url: server.url }, { cluster });
    const start = await table.snapshot();
    const version = await table.apply(all(1), { epoch: 1, ifVersion: start.version });
    const before = await table.snapshot();
    const controller = new AbortController();
    const aborted = errorOf(table.apply(all(2), { epoch: 1, ifVersion: version, signal: controller.signal }));
    setImmediate(() => {
      controller.abort();
    });
    expect(await aborted).toMatchObject({ code: "DINP_ABORTED" });
    expect(await other.snapshot()).toEqual(before);

    const outcomes = await Promise.allSettled([
      table.apply(all(3), { epoch: 1, ifVersion: version }),
      other.apply(all(4), { epoch: 1, ifVersion: version }),
    ]);
    const after = await table.snapshot();
    const ports = new Set(after.routes.map(({ endpoints }) => endpoints[0]?.port));
    const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [3 + index] : []));
    // Each takes the place where the other prepares: at most one wins, and what it made is whole.
    expect(winners.length).toBeLessThanOrEqual(1);
    expect([...ports]).toEqual(winners.length === 0 ? [1] : winners);
    expect(after.routes.length).toBe(ROUTES);
    const last = await table.apply(all(5), { epoch: 1, ifVersion: after.version });
    expect(await watched(other, after.version)()).toEqual({ type: "reset" });
    expect((await other.snapshot()).version).toEqual(last);
  });

  it("keeps of its history what its bounds allow, by size too", async () => {
    const cluster = uniqueCluster();
    const table = tableAt({ url: server.url }, { cluster, historyCharsMax: 1_048_576 });
    let { version } = await table.snapshot();
    const start = version;
    for (let round = 0; round < 12; round += 1) {
      version = await table.apply(all(round + 1, ROUTES - 1_000), { epoch: 0, ifVersion: version });
    }
    expect(await watched(table, start)()).toEqual({ type: "reset" });
    const log = (await server.command("HVALS", `dinp:{${cluster}}:changes`)) as string[];
    const chars = log.reduce((sum, { length }) => sum + length, 0);
    expect(log.length).toBeGreaterThan(0);
    expect(chars).toBeLessThanOrEqual(1_048_576);
    expect(await server.command("HGET", `dinp:{${cluster}}:meta`, "chars")).toBe(String(chars));
  });
});
