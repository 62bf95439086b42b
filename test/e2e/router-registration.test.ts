// Runs the built program: with vitest alone, run `npm run build` first.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { RouterView } from "@dinp/core";
import { createRedisRouteTable } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { OwnRedis } from "../adapters/redis-support/own-redis.js";
import { startPlatform, webApp, type PlatformFixture } from "../cli/platform-fixture.js";
import { runCli } from "../cli/run-cli.js";
import { describeWithServices } from "../support/services.js";
import { eventually, runProgram, temporaryFolder } from "./harness.js";
import { get, program, startRouter, type RunningRouter } from "./router-support.js";

const cluster = "c1";
const host = "shop.apps.localhost";
const long = { timeout: 480_000 };

describeWithServices(["redis"], "routers of a platform", () => {
  let redis: OwnRedis;
  let folder: string;
  let platform: PlatformFixture;

  beforeEach(async () => {
    redis = await OwnRedis.start();
    const temporary = await temporaryFolder();
    onTestFinished(temporary.remove);
    folder = temporary.path;
    platform = await startOver();
  }, 480_000);

  afterEach(async () => {
    await platform.stop();
    await redis.dispose();
  });

  function startOver(): Promise<PlatformFixture> {
    const random = createSystemRandom();
    const table = createRedisRouteTable({ redis: { url: redis.url }, cluster, random });
    return startPlatform({ table, clusterId: cluster });
  }

  async function dinp(...argv: readonly string[]) {
    return await runCli(argv, { cwd: platform.folder, env: platform.env });
  }

  async function ok(...argv: readonly string[]): Promise<string> {
    const { code, out, err } = await dinp(...argv);
    expect(code, err).toBe(0);
    return out;
  }

  async function routers(): Promise<readonly RouterView[]> {
    return (JSON.parse(await ok("routers", "--json")) as { readonly items: RouterView[] }).items;
  }

  async function routerNamed(id: string): Promise<RouterView | undefined> {
    return (await routers()).find((router) => router.id === id);
  }

  function settings(id: string, token: string): readonly string[] {
    const table = ["--table-url", redis.url, "--cluster-id", cluster];
    const servers = ["--servers", platform.apiUrl, "--plaintext", "true", "--token", token];
    return ["--id", id, "--data-dir", join(folder, id), ...table, ...servers];
  }

  const router = (id: string, token: string): Promise<RunningRouter> => startRouter(...settings(id, token));

  async function push(): Promise<void> {
    await platform.files("shop", { "server.js": webApp });
    await ok("push", "--app", "shop", "--command", "node server.js", join(platform.folder, "shop"));
  }

  test("register before they serve; one that died holds ports up until it is forgotten", long, async () => {
    const token = (await ok("routers", "token")).trim();
    const [first, second] = [await router("edge-1", token), await router("edge-2", token)];
    expect((await routers()).map(({ id }) => id)).toEqual(["edge-1", "edge-2", "router-1"]);
    await push();
    for (const { port } of [first, second])
      await eventually("the app", async () => (await get(port, host)).status === 200);
    await eventually("the acknowledgement", async () => (await routerNamed("edge-2"))?.behind === 0);
    // It has the present table, so it seems to be at work.
    expect((await dinp("routers", "forget", "edge-2")).code).toBe(1);

    second.child.kill("SIGKILL");
    await second.ended;
    await ok("stop", "shop");
    await eventually("the router that holds up", async () => (await routerNamed("edge-2"))?.holdsUp === 1);
    await eventually("the others", async () => (await routerNamed("edge-1"))?.holdsUp === 0);
    expect(await ok("routers")).toMatch(/^edge-2 .* [1-9]\d* behind +\d+ +1$/m);
    expect(JSON.parse(await ok("instances", "shop", "--json"))).toMatchObject({ items: [{}] });
    await ok("routers", "forget", "edge-2");
    await eventually("the port's release", async () => {
      const { items } = JSON.parse(await ok("instances", "shop", "--json")) as { readonly items: object[] };
      return items.length === 0;
    });
    expect((await routers()).map(({ id }) => id)).toEqual(["edge-1", "router-1"]);
  });

  test("end, saying what to do, by a token that was revoked before they were registered", long, async () => {
    const token = (await ok("routers", "token")).trim();
    const { items } = JSON.parse(await ok("routers", "tokens", "--json")) as { items: { id: string }[] };
    for (const { id } of items) await ok("routers", "revoke-token", id);
    const args = [program, "--listen", "127.0.0.1:0", ...settings("edge-1", token)];
    const { code, stderr } = await runProgram(process.execPath, args);
    expect(code).toBe(1);
    expect(stderr).toContain(`The router's token is not valid at ${platform.apiUrl}`);
    expect(stderr).toContain("dinp routers token");
  });

  test(
    "start by their mark while nobody answers, and not before they were ever registered",
    long,
    async () => {
      const token = (await ok("routers", "token")).trim();
      const running = await router("edge-1", token);
      await push();
      await eventually("the app", async () => (await get(running.port, host)).status === 200);
      await eventually("the acknowledgement", async () => (await routerNamed("edge-1"))?.behind === 0);
      const dead = platform.apiUrl.replace(/\d+$/, "1");
      await redis.kill();
      running.child.kill("SIGKILL");
      await running.ended;
      const cold = await startRouter(...settings("edge-1", token), "--servers", dead);
      expect((await get(cold.port, host)).status).toBe(200);
      await eventually("it says so", () => cold.errors().includes("goes by its registration of before"));
      const args = [program, "--listen", "127.0.0.1:0", ...settings("edge-9", token), "--servers", dead];
      const never = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
      onTestFinished(() => {
        never.kill("SIGKILL");
      });
      const said = { stdout: "", stderr: "" };
      never.stdout.on("data", (chunk: Buffer) => (said.stdout += chunk.toString()));
      never.stderr.on("data", (chunk: Buffer) => (said.stderr += chunk.toString()));
      await eventually("it tries", () =>
        said.stderr.includes("the registration cannot be confirmed; it is tried again"),
      );
      // It goes on trying, and does not serve meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      expect(never.exitCode).toBeNull();
      expect(said.stdout).toBe("");
    },
  );
});
