import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import type { InstanceSpec } from "@dinp/core";
import { createRunningClock } from "../support/running-clock.js";
import { buildScript } from "./process-support/build-script.js";
import {
  eventually,
  fetchText,
  isAlive,
  markedProcesses,
  ProcessHarness,
} from "./process-support/harness.js";

const SERVER = `
require("node:http").createServer((request, response) => response.end(String(process.pid)))
  .listen(Number(process.env.PORT));
`;

const support = (name: string): string =>
  fileURLToPath(new URL(`./process-support/${name}`, import.meta.url));

async function makeHarness(...args: Parameters<typeof ProcessHarness.make>): Promise<ProcessHarness> {
  const harness = await ProcessHarness.make(...args);
  onTestFinished(() => harness.dispose());
  return harness;
}

/** A running instance whose runtime has been closed. */
async function leaveOneRunning(harness: ProcessHarness): Promise<{ spec: InstanceSpec; pid: number }> {
  const spec = await harness.spec(await harness.image({ "server.js": SERVER }));
  await harness.runtime.start(spec);
  const pid = Number(await fetchText(spec.port));
  await harness.runtime.close();
  return { spec, pid };
}

describe("process runtime: crashes", () => {
  it("instances outlive a killed platform and are adopted by the next one", async () => {
    const harness = await makeHarness();
    const image = await harness.makeImage({ "server.js": SERVER });
    await harness.runtime.close();
    const specs = [await harness.spec(image), await harness.spec(image)];
    const script = await buildScript(support("platform-script.ts"));
    onTestFinished(() => rm(dirname(script), { recursive: true, force: true }));
    const order = {
      dataDir: harness.dataDir,
      sourceDir: join(harness.folder, "source"),
      clusterId: harness.clusterId,
      specs,
    };
    const platform = spawn(process.execPath, [script, JSON.stringify(order)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => {
      platform.kill("SIGKILL");
    });
    let started = 0;
    createInterface(platform.stdout).on("line", (line) => {
      if (line.startsWith("started")) started += 1;
    });
    await eventually(() => started === 2);
    const pids = await Promise.all(specs.map(async (spec) => Number(await fetchText(spec.port))));
    platform.kill("SIGKILL");
    await once(platform, "exit");
    expect(pids.map(isAlive)).toEqual([true, true]);

    const runtime = await harness.reopen();
    expect((await runtime.list()).map(({ state }) => state)).toEqual(["running", "running"]);
    expect(await Promise.all(specs.map(async ({ port }) => Number(await fetchText(port))))).toEqual(pids);
    for (const spec of specs) await runtime.start(spec);
    expect((await markedProcesses(harness.clusterId)).sort()).toEqual([...pids].sort());

    // The end of a process that is not this one's child.
    const [first] = specs;
    process.kill(pids[0] ?? 0, "SIGKILL");
    const clock = createRunningClock();
    const since = clock.monotonicMs();
    let tookMs = 0;
    await eventually(async () => {
      tookMs = clock.monotonicMs() - since;
      return (await runtime.list()).some(
        ({ instanceId, state }) => instanceId === first?.instanceId && state === "exited",
      );
    });
    expect(tookMs).toBeLessThan(1_000);
    const exit = (await runtime.list()).find(({ instanceId }) => instanceId === first?.instanceId)?.exit;
    expect(exit).toMatchObject({ cause: "exited", code: null });
    await runtime.stopAll({ graceMs: 2_000 });
    expect(await markedProcesses(harness.clusterId)).toEqual([]);
  });

  it(
    "a platform killed at any moment of its starts doubles and leaks nothing",
    { timeout: 600_000 },
    async () => {
      const script = await buildScript(support("platform-script.ts"));
      onTestFinished(() => rm(dirname(script), { recursive: true, force: true }));
      for (const killAfterMs of [0, 5, 15, 30, 60, 100]) {
        const harness = await makeHarness();
        const image = await harness.makeImage({ "server.js": SERVER });
        await harness.runtime.close();
        const specs = await Promise.all(Array.from({ length: 4 }, () => harness.spec(image)));
        const order = {
          dataDir: harness.dataDir,
          sourceDir: join(harness.folder, "source"),
          clusterId: harness.clusterId,
          specs,
        };
        const platform = spawn(process.execPath, [script, JSON.stringify(order)], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        onTestFinished(() => {
          platform.kill("SIGKILL");
        });
        await once(platform.stdout, "data");
        await delay(killAfterMs);
        platform.kill("SIGKILL");
        await once(platform, "exit");
        const runtime = await harness.reopen();
        const expected = new Map(
          (await runtime.list()).map(({ instanceId, state }) => [instanceId, state === "running" ? 1 : 0]),
        );
        // One that the platform had no time to let through ends by itself.
        await expect
          .poll(async () => {
            const counts = [...expected.keys()].map(
              async (id) => [id, (await markedProcesses(harness.clusterId, id)).length] as const,
            );
            return new Map(await Promise.all(counts));
          })
          .toEqual(expected);
        const running = [...expected.values()].filter((count) => count === 1).length;
        await expect.poll(async () => (await markedProcesses(harness.clusterId)).length).toBe(running);
      }
    },
  );

  it("a process whose platform dies before its record is written never runs the app", async () => {
    const folder = await mkdtemp("/tmp/dinp-gate-");
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const script = await buildScript(support("gate-script.ts"));
    onTestFinished(() => rm(dirname(script), { recursive: true, force: true }));
    const platform = spawn(process.execPath, [script, join(folder, "ran"), join(folder, "log")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => {
      platform.kill("SIGKILL");
    });
    const [chunk] = (await once(platform.stdout, "data")) as [Buffer];
    const pid = Number(chunk.toString());
    expect(isAlive(pid)).toBe(true);
    platform.kill("SIGKILL");
    await eventually(() => !isAlive(pid));
    expect((await readdir(folder)).sort()).toEqual(["log"]);
  });

  it("without its record a process is found by its mark", async () => {
    const harness = await makeHarness();
    const { spec, pid } = await leaveOneRunning(harness);
    await rm(join(harness.instanceDir(spec.instanceId), "process.json"));
    const runtime = await harness.reopen();
    expect(await runtime.list()).toMatchObject([
      { instanceId: spec.instanceId, state: "running", port: spec.port },
    ]);
    await runtime.stop(spec.instanceId, { graceMs: 2_000 });
    expect(isAlive(pid)).toBe(false);
    expect((await runtime.list())[0]?.exit?.cause).toBe("stopped");
  });

  it("an intent without a process is told as an end of unknown cause", async () => {
    const harness = await makeHarness();
    const spec = await harness.spec(await harness.image({ "server.js": SERVER }));
    await harness.runtime.close();
    await mkdir(harness.instanceDir(spec.instanceId));
    await writeFile(
      join(harness.instanceDir(spec.instanceId), "spec.json"),
      JSON.stringify({ spec, intendedAt: 1 }),
    );
    const runtime = await harness.reopen();
    expect((await runtime.list())[0]?.exit).toMatchObject({
      cause: "unknown",
      message: expect.stringContaining("interrupted") as unknown,
    });
    expect((await runtime.start(spec)).state).toBe("exited");
    expect(await markedProcesses(harness.clusterId)).toEqual([]);
  });

  it.each(["startTime", "bootId"])(
    "a record with another %s is never believed: the process of that pid is left alone",
    async (field) => {
      const harness = await makeHarness();
      const spec = await harness.spec(await harness.image({ "server.js": SERVER }));
      await harness.runtime.close();
      const stranger = spawn("/bin/sleep", ["1000"], { detached: true, stdio: "ignore" });
      onTestFinished(() => void stranger.kill("SIGKILL"));
      const pid = stranger.pid ?? 0;
      await mkdir(harness.instanceDir(spec.instanceId));
      const record = {
        pid,
        startTime: await startTimeOf(pid),
        bootId: (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim(),
        startedAt: 1,
        cgroup: null,
        appId: spec.appId,
        releaseId: spec.releaseId,
        image: spec.image,
        port: spec.port,
        memoryMb: spec.memoryMb,
        [field]: "1",
      };
      await writeFile(
        join(harness.instanceDir(spec.instanceId), "spec.json"),
        JSON.stringify({ spec, intendedAt: 1 }),
      );
      await writeFile(join(harness.instanceDir(spec.instanceId), "process.json"), JSON.stringify(record));
      const runtime = await harness.reopen();
      expect((await runtime.list())[0]).toMatchObject({ state: "exited", exit: { cause: "unknown" } });
      await runtime.stop(spec.instanceId, { graceMs: 0 });
      await runtime.remove(spec.instanceId);
      expect(await runtime.list()).toEqual([]);
      expect(isAlive(pid)).toBe(true);
    },
  );

  it.each([["spec.json"], ["process.json"], ["spec.json", "process.json"]])(
    "damaged records harm no running instance (%s %s)",
    async (...names) => {
      const harness = await makeHarness();
      const other = await harness.spec(await harness.image({ "server.js": SERVER }));
      await harness.runtime.start(other);
      const otherPid = Number(await fetchText(other.port));
      const { spec, pid } = await leaveOneRunning(harness);
      for (const name of names) await writeFile(join(harness.instanceDir(spec.instanceId), name), "{ broken");
      const runtime = await harness.reopen();
      expect(
        (await runtime.list()).map(({ instanceId, state, port }) => [instanceId, state, port]).sort(),
      ).toEqual(
        [
          [other.instanceId, "running", other.port],
          [spec.instanceId, "running", spec.port],
        ].sort(),
      );
      expect([Number(await fetchText(spec.port)), Number(await fetchText(other.port))]).toEqual([
        pid,
        otherPid,
      ]);
      await runtime.remove(spec.instanceId);
      expect([isAlive(pid), isAlive(otherPid)]).toEqual([false, true]);
    },
  );

  it("damaged records without a process are told as an end of unknown cause", async () => {
    const harness = await makeHarness();
    await harness.runtime.close();
    await mkdir(harness.instanceDir("broken"));
    await writeFile(join(harness.instanceDir("broken"), "spec.json"), "");
    const runtime = await harness.reopen();
    expect(await runtime.list()).toMatchObject([
      { instanceId: "broken", state: "exited", exit: { cause: "unknown" } },
    ]);
    await runtime.remove("broken");
    expect(await runtime.list()).toEqual([]);
  });

  it("what a dead first process left behind while nobody looked is ended", async () => {
    const harness = await makeHarness();
    const image = await harness.image({
      "parent.js": `
        const child = require("node:child_process").spawn(process.execPath, ["server.js"], { stdio: "inherit" });
        child.on("spawn", () => undefined);`,
      "server.js": SERVER,
    });
    const spec = await harness.spec(image, { command: ["node", "parent.js"] });
    await harness.runtime.start(spec);
    const childPid = Number(await fetchText(spec.port));
    await harness.runtime.close();
    const parentPid = (await markedProcesses(harness.clusterId)).find((pid) => pid !== childPid) ?? 0;
    process.kill(parentPid, "SIGKILL");
    await eventually(() => !isAlive(parentPid));
    expect(isAlive(childPid)).toBe(true);
    const runtime = await harness.reopen();
    expect((await runtime.list())[0]?.exit?.cause).toBe("unknown");
    expect(isAlive(childPid)).toBe(false);
  });

  it("a second runtime over the same folder is refused, and a lost folder is no empty list", async () => {
    const harness = await makeHarness();
    await expect(harness.newRuntime().open()).rejects.toMatchObject({ code: "DINP_LOCKED" });
    const instances = join(harness.dataDir, "instances");
    await rm(instances, { recursive: true });
    await expect(harness.runtime.list()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    await harness.runtime.close();
    const runtime = harness.newRuntime();
    await expect(runtime.open()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    await mkdir(instances);
    await runtime.open();
    expect(await runtime.list()).toEqual([]);
    await runtime.close();
  });
});

async function startTimeOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
