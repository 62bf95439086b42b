export { createRedisRouteTable } from "./redis-route-table.js";
export type {
  RedisAddress,
  RedisCluster,
  RedisCredentials,
  RedisPlace,
  RedisRouteTableOptions,
  RedisSentinels,
  RedisServer,
  RedisTls,
} from "./options.js";
