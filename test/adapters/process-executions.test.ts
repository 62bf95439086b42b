import { spawn } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ExecEvent } from "@dinp/core";
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
const never = (): AbortSignal => new AbortController().signal;
const isRoot = process.getuid?.() === 0;

async function makeHarness(): Promise<ProcessHarness> {
  const harness = await ProcessHarness.make();
  onTestFinished(() => harness.dispose());
  return harness;
}

async function textOf(events: AsyncIterable<ExecEvent>): Promise<string> {
  let text = "";
  for await (const event of events) if (event.type === "output") text += Buffer.from(event.bytes).toString();
  return text;
}

/** Processes of commands, not of instances. */
async function commandProcesses(harness: ProcessHarness): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await markedProcesses(harness.clusterId)) {
    const environ = await readFile(`/proc/${String(pid)}/environ`, "latin1").catch(() => "");
    if (environ.includes("\0DINP_EXEC_ID=")) found.push(pid);
  }
  return found;
}

describe("process runtime: commands", () => {
  it("commands of a platform that was killed are ended by the next one, instances and strangers are not", async () => {
    const harness = await makeHarness();
    const image = await harness.makeImage({ "server.js": SERVER });
    await harness.runtime.close();
    const spec = await harness.spec(image);
    const script = await buildScript(
      fileURLToPath(new URL("./process-support/platform-script.ts", import.meta.url)),
    );
    onTestFinished(() => rm(dirname(script), { recursive: true, force: true }));
    const stubborn = `process.on("SIGPIPE", () => undefined); process.on("SIGTERM", () => undefined);
      require("node:child_process").spawn("sleep", ["600"], { detached: true, stdio: "ignore" }).unref();
      process.stdout.write("begun"); setInterval(() => undefined, 1000);`;
    const order = {
      dataDir: harness.dataDir,
      sourceDir: join(harness.folder, "source"),
      clusterId: harness.clusterId,
      specs: [spec],
      command: ["node", "-e", stubborn],
    };
    const platform = spawn(process.execPath, [script, JSON.stringify(order)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => {
      platform.kill("SIGKILL");
    });
    let begun = 0;
    for await (const line of createInterface(platform.stdout)) {
      if (line.startsWith("began")) begun += 1;
      if (begun === 2) break;
    }
    const server = Number(await fetchText(spec.port));
    await eventually(async () => (await commandProcesses(harness)).length === 4);
    const ended = new Promise((resolve) => platform.once("exit", resolve));
    platform.kill("SIGKILL");
    await ended;
    const left = await commandProcesses(harness);
    expect(left).toHaveLength(4);
    // Says that it is a command of this cluster, and runs as somebody else.
    const stranger = spawn("sleep", ["600"], {
      env: { DINP_CLUSTER: harness.clusterId, DINP_INSTANCE_ID: "x", DINP_EXEC_ID: "y" },
      ...(isRoot ? { uid: 65_534 } : {}),
    });
    onTestFinished(() => {
      stranger.kill("SIGKILL");
    });

    await harness.reopen();
    expect(left.filter(isAlive)).toEqual([]);
    expect(isAlive(server)).toBe(true);
    if (isRoot) expect(isAlive(stranger.pid ?? 0)).toBe(true);
    stranger.kill("SIGKILL");
    expect(await readdir(join(harness.dataDir, "runs"))).toEqual([]);
    expect((await harness.runtime.list()).map(({ instanceId, state }) => [instanceId, state])).toEqual([
      [spec.instanceId, "running"],
    ]);
  });

  it.runIf(isRoot)("a one-off has a user that no instance has, a command its instance's", async () => {
    const harness = await makeHarness();
    const spec = await harness.spec(await harness.image({ "server.js": SERVER }));
    await harness.runtime.start(spec);
    const options = { command: ["id", "-u"], signal: never() };
    const beside = Number(await textOf(harness.runtime.exec(spec.instanceId, options)));
    const once = { ...spec, instanceId: "once" };
    const apart = [
      Number(await textOf(harness.runtime.run(once, options))),
      Number(await textOf(harness.runtime.run(once, options))),
    ];
    expect(beside).toBe(200_000 + spec.port);
    expect(apart).toEqual([200_000 + 65_536, 200_000 + 65_537]);
  });

  it("ends without error when nobody asks for an event, and refuses the 65th command at a time", async () => {
    const harness = await makeHarness();
    const spec = await harness.spec(await harness.image({ "server.js": SERVER }));
    await harness.runtime.start(spec);
    const abort = new AbortController();
    const options = { command: ["sleep", "600"], signal: abort.signal };
    harness.runtime.exec(spec.instanceId, options);
    expect(await commandProcesses(harness)).toEqual([]);
    const running = Array.from({ length: 64 }, () =>
      textOf(harness.runtime.exec(spec.instanceId, options)).catch((error: unknown) => error),
    );
    await eventually(async () => (await commandProcesses(harness)).length === 64);
    await expect(textOf(harness.runtime.exec(spec.instanceId, options))).rejects.toMatchObject({
      code: "DINP_BUSY",
    });
    abort.abort();
    for (const outcome of await Promise.all(running)) expect(outcome).toMatchObject({ code: "DINP_ABORTED" });
    expect(await commandProcesses(harness)).toEqual([]);
    expect(
      await textOf(harness.runtime.exec(spec.instanceId, { command: ["echo", "on"], signal: never() })),
    ).toBe("on\n");
  });
});
