import { describe, expect, it } from "vitest";
import { createRedisRouteTable, type RedisPlace, type RedisRouteTableOptions } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";

function make(redis: RedisPlace, options: Partial<RedisRouteTableOptions> = {}): unknown {
  return createRedisRouteTable({ redis, cluster: "test", random: createSystemRandom(), ...options });
}

describe("the options of a route table in Redis", () => {
  it.each([
    "redis://host",
    "redis://host:7000/3",
    "redis://:p%40ss@host",
    "redis://user:p@[::1]:7000",
    "rediss://user:p@host",
  ])("take the url %s, and connect to nothing", (url) => {
    expect(() => make({ url })).not.toThrow();
  });

  it.each([
    "secret",
    "http://:secret@host",
    "redis://:secret@",
    "redis://:secret@host/x",
    "redis://:secret@host?db=1",
    "redis://:secret@host:99999",
    "redis://:sec ret@ho st",
    "redis://:%zzsecret@host",
  ])("refuse the url %s without saying the password", (url) => {
    expect(() => make({ url })).toThrow(TypeError);
    expect(() => make({ url })).not.toThrow(/sec ?ret/);
  });

  it.each<[string, RedisPlace, Partial<RedisRouteTableOptions>]>([
    ["no sentinels", { sentinels: [], primary: "p" }, {}],
    ["a primary without a name", { sentinels: [{ host: "h", port: 1 }], primary: "" }, {}],
    ["no nodes", { nodes: [] }, {}],
    ["an illegal port", { nodes: [{ host: "h", port: 70_000 }] }, {}],
    ["TLS over a plain url", { url: "redis://h", tls: {} }, {}],
    ["a cluster's name with a brace", { url: "redis://h" }, { cluster: "a}b" }],
    ["no cluster's name", { url: "redis://h" }, { cluster: "" }],
    ["a time of 0", { url: "redis://h" }, { commandTimeoutMs: 0 }],
    ["a small history", { url: "redis://h" }, { historyCharsMax: 1_000 }],
  ])("refuse %s", (_, redis, options) => {
    expect(() => make(redis, options)).toThrow(TypeError);
  });
});
