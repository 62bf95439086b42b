// Runs the built program: with vitest alone, run `npm run build` first.
import { defaultCheck, type EventRecord } from "@dinp/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { freePort } from "../../scripts/lib/services/ports.mjs";
import { dropDatabase, makeDatabaseOf, postgresKind } from "../adapters/sql-support/kinds.js";
import { Cluster } from "../loops/cluster.js";
import { describeWithServices } from "../support/services.js";
import { program, ServingRuntime, startMonitor } from "./health-monitor-support.js";
import { eventually, runProgram } from "./harness.js";
import { get } from "./router-support.js";

vi.setConfig({ testTimeout: 480_000, hookTimeout: 240_000 });

describeWithServices(["postgres"], "dinp-hm over PostgreSQL", ({ DINP_TEST_POSTGRES: admin }) => {
  let url: string;
  let cluster: Cluster;
  let runtime: ServingRuntime;

  beforeEach(async () => {
    url = await makeDatabaseOf(postgresKind, admin);
    cluster = new Cluster({ lostAfterMs: 60_000 }, postgresKind.createStore(url, { pollMs: 100 }));
    cluster.leaseTtlMs = 15_000;
    runtime = new ServingRuntime();
    cluster.runtimes.set("n1", runtime);
    cluster.agentProber = runtime.localProber();
    await cluster.start();
  });

  afterEach(async () => {
    await runtime.close();
    await cluster.dispose();
    await dropDatabase(postgresKind, url, admin);
  });

  async function deploy(instances: number): Promise<readonly string[]> {
    const check = { ...defaultCheck, intervalMs: 500, timeoutMs: 10_000, failureThreshold: 5 };
    await cluster.deploy(instances, 1, { check });
    await routed(instances);
    return cluster.routed();
  }

  async function routed(count: number): Promise<void> {
    await eventually(`${String(count)} routed`, () => cluster.routed().length === count, 180_000);
  }

  async function events(type: string): Promise<EventRecord[]> {
    return (await cluster.all("event")).filter((event) => event.type === type);
  }

  /** Nothing was started twice, stopped or placed for what a monitor saw. */
  async function expectUntouched(ids: readonly string[]): Promise<void> {
    expect([...runtime.started].sort()).toEqual([...ids].sort());
    expect(runtime.stopped).toEqual([]);
    const placed = await cluster.placements();
    expect(placed.map(({ instanceId, desired }) => [instanceId, desired])).toEqual(
      [...ids].sort().map((id) => [id, "running"]),
    );
    expect((await cluster.statuses()).every(({ ready }) => ready)).toBe(true);
  }

  test("withdraws an app's instance that answers its agent and nobody else, and gives it back", async () => {
    const ids = await deploy(3);
    const [id = ""] = ids;
    const observed = await freePort();
    const monitor = startMonitor(url, "--observe-listen", String(observed));
    await eventually("it is ready", async () => (await look(observed, "/readyz")).status === 200);
    expect(monitor.output()).toMatch(/^dinp-hm hm-1 monitors the instances of dinp, by PostgreSQL at /);
    runtime.cut(id);
    await routed(2);
    expect(cluster.routed()).not.toContain(id);
    expect(await cluster.all("withdrawal")).toMatchObject([{ instanceId: id, monitorId: "hm-1" }]);
    // It counts what it has withdrawn once that is acknowledged, which routes do not wait for.
    const counts = ["instances 3", "failing 1", "withdrawn 1", "suspended 0", "working 1"];
    let metrics = "";
    const isCounted = async (): Promise<boolean> => {
      metrics = (await look(observed, "/metrics")).body;
      return counts.every((count) => metrics.includes(`dinp_hm_${count}\n`));
    };
    await expect.poll(isCounted, { timeout: 180_000, message: counts.join(", ") }).toBe(true);
    expect(metrics).toMatch(/dinp_hm_probes_total\{outcome="failure"\} [1-9]/);
    await expectUntouched(ids);
    runtime.mend();
    await routed(3);
    expect((await events("instance.returned")).map(({ actor }) => actor)).toEqual(["monitor/hm-1"]);
    monitor.child.kill("SIGTERM");
    expect(await monitor.ended).toBe(0);
  });

  test("killed, it withdraws nothing for longer than its lease; started again, it goes on", async () => {
    const ids = await deploy(3);
    const monitor = startMonitor(url);
    runtime.cut(ids[0] ?? "");
    await routed(2);
    monitor.child.kill("SIGKILL");
    await routed(3);
    expect(await cluster.all("withdrawal")).toEqual([]);
    expect((await events("instance.returned")).map(({ actor }) => actor)).toEqual(["leader"]);
    startMonitor(url);
    await routed(2);
    await expectUntouched(ids);
  });

  test("stopped for a while, it loses its lease and what it withdrew, and goes on afterwards", async () => {
    const ids = await deploy(3);
    const monitor = startMonitor(url);
    runtime.cut(ids[0] ?? "");
    await routed(2);
    monitor.child.kill("SIGSTOP");
    await routed(3);
    monitor.child.kill("SIGCONT");
    await routed(2);
    expect(monitor.child.exitCode).toBeNull();
    await expectUntouched(ids);
  });

  test("cut off from every node, it withdraws nothing, gives back what it withdrew, and says so", async () => {
    const ids = await deploy(3);
    startMonitor(url);
    runtime.cut(ids[0] ?? "");
    await routed(2);
    runtime.cut(...ids);
    await routed(3);
    const [suspended] = await eventually("its event", async () => {
      const found = await events("monitor.suspended");
      return found.length > 0 ? found : undefined;
    });
    expect(suspended).toMatchObject({ actor: "monitor/hm-1", appId: null });
    const withdrawn = (await events("instance.withdrawn")).length;
    runtime.mend();
    await eventually("it judges again", async () => (await events("monitor.resumed")).length > 0);
    expect(await events("instance.withdrawn")).toHaveLength(withdrawn);
    await expectUntouched(ids);
  });

  test("says what is wrong with its configuration, and hides the password", async () => {
    const run = (...args: readonly string[]) =>
      runProgram(process.execPath, [program, ...args], { timeoutMs: 120_000 });
    const secret = "postgres://dinp:geheim@127.0.0.1:1/dinp";
    const checked = await run("--store-url", secret, "--id", "hm-7", "--check-config");
    expect(checked).toMatchObject({ code: 0, stderr: "" });
    expect(checked.stdout).toContain("the monitor is hm-7, over PostgreSQL at 127.0.0.1:1/dinp\n");
    const bad = await run("--store-url", secret, "--interval-min", "20s", "--check-config");
    expect(bad).toMatchObject({ code: 2, stdout: "" });
    expect(bad.stderr).toContain("hm.intervalMin (20000 ms) is above hm.intervalMax (15000 ms)");
    expect(checked.stdout + bad.stderr).not.toContain("geheim");
    await cluster.put("setting", { key: "cluster-id", value: "another" });
    const foreign = await run("--store-url", url);
    expect(foreign).toMatchObject({ code: 1, stdout: "" });
    expect(foreign.stderr).toContain("This database is of the cluster another, and not of dinp.");
  });

  function look(port: number, path: string): ReturnType<typeof get> {
    return get(port, "observer", undefined, undefined, path);
  }
});
