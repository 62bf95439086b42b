import { afterAll, beforeAll, it } from "vitest";
import { createRedisRouteTable, type RedisPlace } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { routeTableSuite } from "@dinp/core/testing";
import { describeWithServices } from "../support/services.js";
import { OwnRedis } from "./redis-support/own-redis.js";
import { quick, uniqueCluster } from "./redis-support/tables.js";

describeWithServices(["redis"], "redis route table: the contract", () => {
  let server: OwnRedis;
  beforeAll(async () => {
    server = await OwnRedis.start();
  });
  afterAll(() => server.dispose());

  const historyMax = 40;
  const suite = routeTableSuite(() => {
    const redis: RedisPlace = { url: server.url };
    const random = createSystemRandom();
    const table = createRedisRouteTable({ redis, cluster: uniqueCluster(), random, historyMax, ...quick });
    return Promise.resolve({
      table,
      appliesToReset: 2 * historyMax,
      outage: () => {
        server.pause();
        return Promise.resolve(() => {
          server.resume();
          return Promise.resolve();
        });
      },
      dispose: () => table.close(),
    });
  });
  for (const { name, run } of suite) it(name, run);
});
