import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type {
  DinpError,
  Route,
  RouteChange,
  RouteTable,
  RouteTableEvent,
  RouteTableVersion,
} from "@dinp/core";
import { isDinpError } from "@dinp/core";
import { createRedisRouteTable, type RedisPlace, type RedisRouteTableOptions } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";

/** Waits that are short enough for tests of their end, and long enough for a busy machine. */
export const quick = { commandTimeoutMs: 4_000, connectTimeoutMs: 4_000, pollMs: 300 };

export function uniqueCluster(): string {
  return `test-${randomUUID()}`;
}

/** A table that is closed when the test is over. */
export function tableAt(redis: RedisPlace, options: Partial<RedisRouteTableOptions> = {}): RouteTable {
  const table = createRedisRouteTable({
    redis,
    cluster: "test",
    random: createSystemRandom(),
    ...quick,
    ...options,
  });
  onTestFinished(() => table.close());
  return table;
}

export function route(host: string, port = 8_000): Route {
  return {
    host,
    path: "/",
    appId: `app-of-${host}`,
    appName: "app",
    endpoints: [{ instanceId: `i-${String(port)}`, host: "10.0.0.1", port }],
    unavailable: null,
  };
}

export function put(host: string, port?: number): RouteChange {
  return { op: "put", route: route(host, port) };
}

export async function apply(
  table: RouteTable,
  changes: readonly RouteChange[],
  epoch = 1,
): Promise<RouteTableVersion> {
  const { version } = await table.snapshot();
  return table.apply(changes, { epoch, ifVersion: version });
}

export async function hostsOf(table: RouteTable): Promise<readonly string[]> {
  return (await table.snapshot()).routes.map(({ host }) => host);
}

/** What the call gives, made again as long as its server does not answer. */
export async function onceUp<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isDinpError(error, "DINP_UNAVAILABLE")) throw error;
      await delay(10);
    }
  }
}

/** The error of a call that must reject. */
export async function errorOf(call: Promise<unknown>): Promise<DinpError> {
  try {
    await call;
  } catch (error) {
    if (isDinpError(error)) return error;
    throw error;
  }
  throw new Error("The call resolved where it must reject.");
}

/** A watch that is read step by step, and ends with the test. */
export function watched(table: RouteTable, after: RouteTableVersion): () => Promise<RouteTableEvent | null> {
  const controller = new AbortController();
  onTestFinished(() => {
    controller.abort();
  });
  const events = table.watch({ after, signal: controller.signal })[Symbol.asyncIterator]();
  return async () => {
    const next = await events.next();
    return next.done === true ? null : next.value;
  };
}
