import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, processesWith, SteadyLoad, temporaryFolder, TestPlatform } from "./harness.js";

interface Instance {
  readonly id: string;
  readonly phase: string;
  readonly ready: boolean;
  readonly endpoint: string | null;
  readonly startedAt: number | null;
}

interface App {
  readonly state: string;
  readonly ready: number;
  readonly release: number;
  readonly instances: number;
  readonly instanceList: readonly Instance[];
  readonly lastCrash: { readonly failures: number; readonly at: number; readonly reason: string } | null;
}

/** Answers with its instance's id; `/die` ends it with exit code 7. */
const MORTAL = `
require("node:http")
  .createServer((request, response) => {
    if (request.url === "/die") process.exit(7);
    response.setHeader("x-instance", process.env.DINP_INSTANCE_ID);
    response.end("alive");
  })
  .listen(process.env.PORT, "127.0.0.1");
`;

/** The first process of an instance, from the outside: the leader of its process group. */
async function leaderOf(instanceId: string): Promise<number> {
  for (const pid of await processesWith(instanceId)) {
    const stat = await readFile(`/proc/${String(pid)}/stat`, "utf8");
    const group = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
    if (group === pid) return pid;
  }
  throw new Error(`no process of ${instanceId}`);
}

function running(app: App): readonly Instance[] {
  return app.instanceList.filter((instance) => instance.phase === "running");
}

describe("crashes", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;

  async function pushMortal(name: string, instances: number): Promise<void> {
    const source = join(folder.path, `source-${name}`);
    await mkdir(source, { recursive: true });
    await writeFile(join(source, "server.js"), MORTAL);
    await platform.ok("push", source, "--app", name, "--instances", String(instances), "--memory", "64M");
  }

  const settled = (name: string, instances: number): Promise<App> =>
    eventually(`${name} has ${String(instances)} ready instances`, async () => {
      const app = await platform.json<App>("app", name);
      return app.ready === instances && running(app).length === instances && app;
    });

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await TestPlatform.in(folder.path);
    await platform.start();
  }, 480_000);

  afterAll(async () => {
    await platform.dispose();
    await folder.remove();
  });

  test("kill -9 of an instance: no request fails, its route is gone, it is replaced", async () => {
    await pushMortal("one", 2);
    const before = await settled("one", 2);
    const victim = before.instanceList[0]?.id ?? "";
    const load = new SteadyLoad(50, () => platform.get("one.apps.localhost"));
    process.kill(await leaderOf(victim), "SIGKILL");
    await eventually("the route is gone", async () => {
      for (let i = 0; i < 4; i += 1) {
        if ((await platform.get("one.apps.localhost")).headers["x-instance"] === victim) return false;
      }
      return true;
    });
    const after = await settled("one", 2);
    expect(after.instanceList.map((instance) => instance.id)).not.toContain(victim);
    await load.stop();
    expect(load.failures).toEqual([]);
    const { items } = await platform.json<{ items: { type: string; message: string }[] }>("events", "one");
    expect(items.find((event) => event.type === "instance.failed")?.message).toContain("SIGKILL");
  }, 480_000);

  test("an app that keeps dying waits longer and longer, says why, and comes back when it lives", async () => {
    await pushMortal("dying", 1);
    for (const [failures, waitMs] of [
      [1, 0],
      [2, 1_000],
      [3, 2_000],
      [4, 4_000],
    ] as const) {
      const app = await settled("dying", 1);
      const id = app.instanceList[0]?.id;
      await platform.get("dying.apps.localhost", "/die").catch(() => undefined);
      const { lastCrash } = await eventually("the failure is counted", async () => {
        const now = await platform.json<App>("app", "dying");
        return (
          now.lastCrash?.failures === failures &&
          now.instanceList.every((instance) => instance.id !== id || !instance.ready) &&
          now
        );
      });
      expect(lastCrash?.reason).toContain("exited with code 7");
      const [next] = running(await settled("dying", 1));
      expect(next?.id).not.toBe(id);
      expect((next?.startedAt ?? 0) - (lastCrash?.at ?? 0)).toBeGreaterThanOrEqual(waitMs);
    }
    const { items } = await platform.json<{ items: { type: string; message: string }[] }>("events", "dying");
    const waits = items.filter((event) => event.type === "plan.refused").map((event) => event.message);
    // A platform that gets no time meanwhile has less left to wait when it says so.
    expect(waits.at(-1)).toMatch(/^crash-backoff: waits [1-4] s after 4 failures in a row: .*code 7/);
  }, 480_000);

  test("kill -9 of the whole platform: instances live on and are adopted, none is doubled, no port clashes", async () => {
    await pushMortal("kept", 3);
    const before = await settled("kept", 3);
    const ids = before.instanceList.map((instance) => instance.id).sort();
    const pids = await Promise.all(ids.map(leaderOf));
    await platform.end("SIGKILL");
    for (const pid of pids) expect(() => process.kill(pid, 0)).not.toThrow();

    await platform.start();
    const after = await settled("kept", 3);
    expect(after.instanceList.map((instance) => instance.id).sort()).toEqual(ids);
    expect(await Promise.all(ids.map(leaderOf))).toEqual(pids);
    expect((await platform.get("kept.apps.localhost")).body).toBe("alive");
    const { items } = await platform.json<{ items: { name: string; instances: number; ready: number }[] }>(
      "apps",
    );
    expect(items.map((app) => [app.name, app.ready])).toEqual([
      ["dying", 1],
      ["kept", 3],
      ["one", 2],
    ]);
    const endpoints = (await Promise.all(items.map((app) => platform.json<App>("app", app.name))))
      .flatMap((app) => app.instanceList)
      .map((instance) => instance.endpoint);
    expect(new Set(endpoints).size).toBe(endpoints.length);
  }, 480_000);

  test("kill -9 of the platform in the middle of a scaling and of a release: it ends as it was asked", async () => {
    await platform.ok("scale", "kept", "6", "--no-wait");
    await platform.end("SIGKILL");
    await platform.start();
    await settled("kept", 6);
    await platform.ok("env", "set", "kept", "A=1", "--no-wait");
    await platform.end("SIGKILL");
    await platform.start();
    const app = await eventually(
      "the release is complete",
      async () => {
        const now = await platform.json<App>("app", "kept");
        return now.release === 2 && now.state === "running" && running(now).length === 6 && now;
      },
      60_000,
    );
    expect(app.ready).toBe(6);
    const leaders = new Set(await Promise.all(running(app).map((instance) => leaderOf(instance.id))));
    expect(leaders.size).toBe(6);
    await eventually("no other process of the app is left", async () => {
      const all = await processesWith("DINP_APP=kept");
      return all.filter((pid) => !leaders.has(pid)).length === 0;
    });
  }, 480_000);

  test("Ctrl-C ends everything and leaves no process", async () => {
    expect(await platform.end("SIGINT")).toBe(0);
    expect(await processesWith(folder.path)).toEqual([]);
  }, 480_000);
});
