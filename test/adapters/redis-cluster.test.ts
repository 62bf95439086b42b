import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRedisRouteTable, type RedisPlace } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { routeTableSuite } from "@dinp/core/testing";
import { describeWithServices } from "../support/services.js";
import { OwnCluster } from "./redis-support/cluster.js";
import { eventually } from "./redis-support/eventually.js";
import {
  apply,
  errorOf,
  hostsOf,
  put,
  quick,
  tableAt,
  uniqueCluster,
  watched,
} from "./redis-support/tables.js";

describeWithServices(["redis"], "a route table in a Redis Cluster", () => {
  let own: OwnCluster;
  const place = (): RedisPlace => ({ nodes: own.nodes.map(({ address }) => address) });
  beforeAll(async () => {
    own = await OwnCluster.start();
  });
  afterAll(() => own.dispose());

  describe("the contract", () => {
    const suite = routeTableSuite(() => {
      const table = createRedisRouteTable({
        redis: place(),
        cluster: uniqueCluster(),
        random: createSystemRandom(),
        historyMax: 40,
        ...quick,
      });
      return Promise.resolve({
        table,
        appliesToReset: 80,
        outage: async () => {
          for (const node of own.nodes) node.pause();
          return Promise.resolve(async () => {
            for (const node of own.nodes) node.resume();
            await eventually(() => own.isWhole());
          });
        },
        dispose: () => table.close(),
      });
    });
    for (const { name, run } of suite) it(name, run);
  });

  it("lies in one slot, found from any node", async () => {
    const cluster = uniqueCluster();
    for (const node of own.nodes) {
      await apply(tableAt({ nodes: [node.address] }, { cluster }), [put(`h${String(node.port)}.test`)]);
    }
    const owner = await own.ownerOf(`dinp:{${cluster}}:meta`);
    for (const node of own.nodes) {
      const keys = (await node.command("KEYS", `dinp:{${cluster}}:*`)) as string[];
      expect(keys.length > 0).toBe(node === owner);
    }
    expect((await hostsOf(tableAt(place(), { cluster }))).length).toBe(own.nodes.length);
  });

  it("goes on when its node died and came back, with its watches", async () => {
    const cluster = uniqueCluster();
    const [writer, router] = [tableAt(place(), { cluster }), tableAt(place(), { cluster })];
    const first = await apply(writer, [put("a.test")]);
    const event = watched(router, first)();
    const owner = await own.ownerOf(`dinp:{${cluster}}:meta`);
    await owner.kill();
    expect(await errorOf(writer.snapshot())).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    await owner.start();
    await eventually(() => own.isWhole());
    const second = await writer.apply([put("b.test")], { epoch: 1, ifVersion: first });
    expect(await event).toMatchObject({ type: "changes", version: second });
  });
});
