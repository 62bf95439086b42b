// Runs the built program: with vitest alone, run `npm run build` first.
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { Route, RouteTable, RouteTableVersion } from "@dinp/core";
import { createRedisRouteTable } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { freePort } from "../../scripts/lib/services/ports.mjs";
import { OwnRedis } from "../adapters/redis-support/own-redis.js";
import { describeWithServices } from "../support/services.js";
import { eventually, runProgram, temporaryFolder } from "./harness.js";
import { get, program, startApp, startRouter, type RunningRouter } from "./router-support.js";

describeWithServices(["redis"], "dinp-router over a table in Redis", () => {
  let redis: OwnRedis;
  let folder: string;
  let table: RouteTable;

  beforeEach(async () => {
    // What it holds is on disk when it is acknowledged, as an operator of routers would have it.
    redis = await OwnRedis.start({
      lines: [
        ["appendonly", "yes"],
        ["appendfsync", "always"],
      ],
    });
    const temporary = await temporaryFolder();
    onTestFinished(temporary.remove);
    folder = temporary.path;
    table = createRedisRouteTable({ redis: { url: redis.url }, cluster: "c1", random: createSystemRandom() });
  });

  afterEach(async () => {
    await table.close();
    await redis.dispose();
  });

  const router = (...more: readonly string[]): Promise<RunningRouter> =>
    startRouter(
      "--table-url",
      redis.url,
      "--cluster-id",
      "c1",
      "--data-dir",
      folder,
      "--registered",
      "true",
      ...more,
    );

  async function publish(...routes: readonly Route[]): Promise<RouteTableVersion> {
    const { version } = await table.snapshot();
    const changes = routes.map((route) => ({ op: "put" as const, route }));
    return await table.apply(changes, { epoch: 1, ifVersion: version });
  }

  function routeTo(address: string, host = "shop.test"): Route {
    const [at = "", port = ""] = address.split(":");
    const endpoints = [{ instanceId: `i-${port}`, host: at, port: Number(port) }];
    return { host, path: "/", appId: "app-1", appName: "shop", endpoints, unavailable: null };
  }

  async function acknowledged(version: RouteTableVersion): Promise<readonly string[]> {
    const said = await table.acknowledgements();
    return said.filter((each) => each.version.revision >= version.revision).map(({ routerId }) => routerId);
  }

  test("follows it, says so, and goes by the same name after a restart", { timeout: 480_000 }, async () => {
    const [first, second] = [await startApp("first"), await startApp("second")];
    await publish(routeTo(first));
    const running = await router();
    expect(running.output()).toMatch(/with 1 route to 1 endpoint of Redis at 127\.0\.0\.1:\d+\n/);
    expect((await get(running.port, "shop.test")).body).toBe("first");
    const version = await publish(routeTo(second));
    await eventually("the change", async () => (await get(running.port, "shop.test")).body === "second");
    const [name] = await eventually("the acknowledgement", async () => {
      const names = await acknowledged(version);
      return names.length > 0 ? names : undefined;
    });
    running.child.kill("SIGTERM");
    expect(await running.ended).toBe(0);
    const again = await router();
    const next = await publish(routeTo(first));
    await eventually("the next acknowledgement", async () => (await acknowledged(next)).includes(name ?? ""));
    expect((await table.acknowledgements()).map(({ routerId }) => routerId)).toEqual([name]);
    again.child.kill("SIGTERM");
    expect(await again.ended).toBe(0);
  });

  test(
    "serves while Redis is dead, also after a start, and follows it when it is back",
    { timeout: 480_000 },
    async () => {
      const [first, second] = [await startApp("first"), await startApp("second")];
      const version = await publish(routeTo(first));
      const running = await router();
      await eventually("the acknowledgement", async () => (await acknowledged(version)).length === 1);
      await redis.kill();
      expect((await get(running.port, "shop.test")).body).toBe("first");
      running.child.kill("SIGKILL");
      await running.ended;
      const cold = await router();
      await eventually("it says so", () => cold.errors().includes("the one that was saved last is served"));
      expect((await get(cold.port, "shop.test")).body).toBe("first");
      await redis.start();
      await eventually("the publisher", async () => (await publish(routeTo(second))).revision > 0);
      await eventually("the change", async () => (await get(cold.port, "shop.test")).body === "second");
    },
  );

  test("ends in the order that a load balancer needs", { timeout: 480_000 }, async () => {
    const app = await startApp("there");
    await publish(routeTo(app));
    const observed = await freePort();
    const running = await router("--observe-listen", String(observed), "--drain-delay", "20s");
    const state = async (path: string): Promise<number | undefined> =>
      (await getPath(observed, path).catch(() => undefined))?.status;
    expect([await state("/healthz"), await state("/readyz"), await state("/elsewhere")]).toEqual([
      200, 200, 404,
    ]);
    await get(running.port, "shop.test");
    // A request is counted when it is over, which whoever asked knows first.
    await eventually("the count of requests", async () => {
      const { body } = await getPath(observed, "/metrics");
      return body.includes('dinp_router_requests_total{status="2xx",reason=""} 1\n');
    });
    expect((await getPath(observed, "/metrics")).body).toContain("dinp_router_table_followed 1\n");
    running.child.kill("SIGTERM");
    await eventually("the failing check", async () => (await state("/healthz")) === 503);
    // Whoever has not looked yet is still served.
    expect((await get(running.port, "shop.test")).body).toBe("there");
    expect(await state("/readyz")).toBe(503);
    expect(await running.ended).toBe(0);
  });

  test("says what is missing, and hides passwords", async () => {
    const secret = redis.url.replace("://", "://:geheim@");
    const run = (...args: readonly string[]) =>
      runProgram(process.execPath, [program, ...args], { timeoutMs: 120_000 });
    const noFolder = await run("--table-url", secret);
    expect(noFolder).toMatchObject({ code: 2, stdout: "" });
    expect(noFolder.stderr).toContain("router.dataDir is missing");
    const both = await run(
      "--registered",
      "true",
      "--table-url",
      secret,
      "--data-dir",
      folder,
      "--table-nodes",
      "127.0.0.1:1",
    );
    expect(both).toMatchObject({ code: 2, stdout: "" });
    expect(both.stderr).toContain("give one of table.url, table.sentinels and table.nodes");
    const unregistered = await run("--table-url", secret, "--data-dir", folder);
    expect(unregistered).toMatchObject({ code: 2, stdout: "" });
    expect(unregistered.stderr).toMatch(/router\.servers is missing.*dinp routers token.*--registered true/);
    const registered = ["--data-dir", folder, "--registered", "true"];
    const checked = await run("--table-url", secret, ...registered, "--check-config");
    expect(checked.code).toBe(0);
    expect(checked.stdout).toContain("table.url = (secret)   (--table-url)");
    expect(checked.stdout + both.stderr + noFolder.stderr).not.toContain("geheim");
  });

  function getPath(port: number, path: string): ReturnType<typeof get> {
    return get(port, "observer", undefined, undefined, path);
  }
});
