import { DinpError, trimReleases, type CommitOptions, type StateStore, type Write } from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createSystemClock } from "@dinp/core/system";
import { describe, expect, it } from "vitest";
import { archiveOf, createWorld, nodeApp } from "./world.js";

type Commit = StateStore["commit"];

/** A real store whose commits go through `around`, which may lose the answer or the commit itself. */
function withCommit(around: (commit: Commit, writes: readonly Write[]) => ReturnType<Commit>): StateStore {
  const store = createMemoryStateStore({ clock: createSystemClock() });
  const commit: Commit = (writes: readonly Write[], options?: CommitOptions) => store.commit(writes, options);
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") return (writes: readonly Write[]) => around(commit, writes);
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

const lost = () => new DinpError("DINP_COMMIT_UNKNOWN", "connection lost");
const isScale = (writes: readonly Write[]) =>
  writes.some((write) => write.op === "put" && write.kind === "event" && write.value.type === "app.scaled");

describe("writes", () => {
  it("all take effect when many come at once, each once", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const names = Array.from({ length: 16 }, (_, index) => `V${String(index)}`);
    const results = await Promise.all(
      names.map((name) => world.platform.changeEnv("hello", { set: { [name]: "x" } }, world.write())),
    );
    expect(new Set(results.map(({ number }) => number)).size).toBe(16);
    expect(Object.keys((await world.platform.getEnv("hello")).env).sort()).toEqual([...names].sort());
    expect((await world.records("release")).map(({ number }) => number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 17 }, (_, index) => index + 1),
    );
  });

  it("make one app when many push the same name at once", async () => {
    await using world = await createWorld();
    const { id } = await world.build("hello");
    const results = await Promise.all(
      Array.from({ length: 8 }, () => world.platform.createRelease("hello", { buildId: id }, world.write())),
    );
    expect(await world.records("app")).toHaveLength(1);
    expect(results.filter(({ unchanged }) => !unchanged)).toHaveLength(1);
    expect(results.every(({ number }) => number === 1)).toBe(true);
  });

  it("answer the same under the same idempotency key, one after the other and at once", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const change = () => world.platform.changeEnv("hello", { set: { A: "1" } }, world.write("key-1"));
    const results = await Promise.all([change(), change(), change(), change()]);
    results.push(await change());
    expect(results.map((result) => JSON.stringify(result))).toEqual(
      results.map(() => JSON.stringify(results[0])),
    );
    expect(results[0]).toMatchObject({ number: 2, unchanged: false });
    expect(await world.records("release")).toHaveLength(2);
  });

  it("remember answers per token, refuse another request under the same key, and forget after a day", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const { platform } = world;
    await platform.scaleApp("hello", { instances: 2 }, world.write("key-1"));
    await expect(platform.scaleApp("hello", { instances: 3 }, world.write("key-1"))).rejects.toMatchObject({
      code: "DINP_IDEMPOTENCY_KEY_REUSED",
    });
    await expect(platform.stopApp("hello", world.write("key-1"))).rejects.toMatchObject({
      code: "DINP_IDEMPOTENCY_KEY_REUSED",
    });
    const other = await platform.authenticate((await platform.createAdminToken()).secret);
    await platform.scaleApp("hello", { instances: 3 }, { caller: other, idempotencyKey: "key-1" });
    world.clock.offsetMs += 24 * 3_600_000;
    await platform.scaleApp("hello", { instances: 4 }, world.write("key-1"));
    expect((await platform.getApp("hello")).instances).toBe(4);
    for (const key of ["", "ä", "a\n", "x".repeat(201)]) {
      await expect(platform.startApp("hello", world.write(key))).rejects.toMatchObject({
        code: "DINP_INVALID",
      });
    }
  });

  it.each([undefined, "key-1"])("happen once when the answer to the commit is lost (key %s)", async (key) => {
    let losses = 0;
    const store = withCommit(async (commit, writes) => {
      const done = await commit(writes);
      if (isScale(writes) && losses++ === 0) throw lost();
      return done;
    });
    await using world = await createWorld({ store });
    await world.push("hello");
    const app = await world.platform.scaleApp("hello", { instances: 2 }, world.write(key));
    expect(app.instances).toBe(2);
    expect(losses).toBe(1);
    expect((await world.records("event")).filter(({ type }) => type === "app.scaled")).toHaveLength(1);
  });

  it("happen once when the lost commit never arrived, or arrives late", async () => {
    let held: (() => Promise<unknown>) | null = null;
    const store = withCommit(async (commit, writes) => {
      if (!isScale(writes)) return commit(writes);
      if (held === null) {
        held = () => commit(writes);
        throw lost();
      }
      // The first one lands after all, just before the second try.
      await held();
      return commit(writes);
    });
    await using world = await createWorld({ store });
    await world.push("hello");
    expect((await world.platform.scaleApp("hello", { instances: 2 }, world.write())).instances).toBe(2);
    expect((await world.records("event")).filter(({ type }) => type === "app.scaled")).toHaveLength(1);

    let tries = 0;
    const dropping = withCommit(async (commit, writes) => {
      if (isScale(writes) && tries++ === 0) throw lost();
      return commit(writes);
    });
    await using second = await createWorld({ store: dropping });
    await second.push("hello");
    await second.platform.scaleApp("hello", { instances: 3 }, second.write());
    expect((await second.platform.getApp("hello")).instances).toBe(3);
    expect(tries).toBe(2);
  });

  it("give up after a bounded number of lost races", async () => {
    const store = withCommit((commit, writes) =>
      isScale(writes) ? Promise.reject(new DinpError("DINP_CONFLICT", "lost")) : commit(writes),
    );
    await using world = await createWorld({ store });
    await world.push("hello");
    const attempt = world.platform.scaleApp("hello", { instances: 2 }, world.write());
    await expect(attempt).rejects.toMatchObject({ code: "DINP_CONFLICT" });
  });

  it("make text harmless that ends up in events", async () => {
    await using world = await createWorld();
    const { id } = await world.build("hello");
    const note = "\u001b[2J\r\nfake line \u202e\ud800";
    await world.platform.createRelease("hello", { buildId: id, note }, world.write());
    const text = (await world.platform.listEvents({})).map((event) => event.message).join("|");
    expect(text).toContain("fake line");
    expect(text).not.toMatch(/[\u0000-\u001f\u202e\ud800-\udfff]/);
  });
});

describe("builds", () => {
  it("answer the same code under the same key with the same build", async () => {
    await using world = await createWorld();
    const send = (files: Readonly<Record<string, string>>) =>
      world.platform.createBuild("hello", { bytes: archiveOf(files) }, world.write("key-1"));
    const together = await Promise.all([send(nodeApp), send(nodeApp)]);
    const after = await send(nodeApp);
    expect(new Set([...together, after].map(({ id }) => id)).size).toBe(1);
    expect(await world.records("build")).toHaveLength(1);
    await expect(send({ "index.html": "other" })).rejects.toMatchObject({
      code: "DINP_IDEMPOTENCY_KEY_REUSED",
    });
    expect((await world.records("build")).filter(({ state }) => state === "running")).toEqual([]);
  });

  it("are bounded in number and in time, and keep their failure", async () => {
    await using world = await createWorld({ buildsMax: 1, buildTimeoutMs: 100 });
    const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    const slow = world.platform.createBuild("hello", { bytes: never }, world.write());
    const busy = world.platform.createBuild("hello", { bytes: archiveOf(nodeApp) }, world.write());
    await expect(busy).rejects.toMatchObject({ code: "DINP_BUSY" });
    await expect(slow).rejects.toMatchObject({ code: "DINP_TIMEOUT" });
    expect(await world.records("build")).toMatchObject([
      { state: "failed", error: "The build took longer than 0 s." },
    ]);
    // Its place is free again: the next one is not told to wait.
    const next = world.platform.createBuild("hello", { bytes: never }, world.write());
    await expect(next).rejects.toMatchObject({ code: "DINP_TIMEOUT" });
  });

  it("end when their caller goes away", async () => {
    await using world = await createWorld();
    const gone = new AbortController();
    const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    const build = world.platform.createBuild(
      "hello",
      { bytes: never },
      { ...world.write(), signal: gone.signal },
    );
    gone.abort();
    await expect(build).rejects.toMatchObject({ code: "DINP_ABORTED" });
    await world.build("hello");
  });

  it("that lost their process are seen as failed", async () => {
    await using world = await createWorld();
    const { id } = await world.build("hello");
    const [build] = await world.records("build");
    if (build === undefined) throw new Error("no build");
    await world.put("build", { ...build, state: "running", image: null, endedAt: null });
    expect((await world.platform.getBuild("hello", id)).state).toBe("running");
    world.clock.offsetMs += 2 * 3_600_000;
    expect(await world.platform.getBuild("hello", id)).toMatchObject({
      state: "failed",
      error: "the platform ended during the build",
    });
  });
});

describe("tidy", () => {
  it("keeps the newest events, answers and builds, and deletes the rest", async () => {
    await using world = await createWorld();
    const events = Array.from({ length: 10_050 }, (_, index) => ({
      id: `evt-${String(index).padStart(6, "0")}`,
      at: index,
      type: "test",
      appId: null,
      appName: null,
      instanceId: null,
      nodeId: null,
      actor: "test",
      message: "",
    }));
    for (let start = 0; start < events.length; start += 1_000) {
      await world.store.commit(
        events.slice(start, start + 1_000).map((value): Write => ({ op: "put", kind: "event", value })),
      );
    }
    await world.push("hello");
    await world.platform.scaleApp("hello", { instances: 2 }, world.write("old"));
    world.clock.offsetMs += 24 * 3_600_000;
    await world.platform.scaleApp("hello", { instances: 3 }, world.write("new"));
    await world.platform.tidy();
    const left = await world.records("event");
    expect(left).toHaveLength(10_000);
    expect(left.at(-1)?.type).toBe("app.scaled");
    expect(await world.records("idempotency")).toHaveLength(1);
  });

  it("keeps an app's newest releases and those that are still needed", async () => {
    await using world = await createWorld();
    await world.push("hello");
    for (let i = 0; i < 11; i += 1) {
      await world.platform.changeEnv("hello", { set: { N: String(i) } }, world.write(`env ${String(i)}`));
    }
    const numbers = async (): Promise<number[]> =>
      (await world.platform.listReleases("hello")).map(({ number }) => number);
    expect(await numbers()).toHaveLength(12);
    const [app] = await world.records("app");
    const releases = await world.records("release");
    const releaseId = (number: number): string => releases.find((each) => each.number === number)?.id ?? "";
    const rollout = { appId: app?.id ?? "", startedAt: 0, endedAt: 0, reason: "", logTail: [] };
    for (const number of [1, 2, 3]) {
      await world.put("rollout", { ...rollout, releaseId: releaseId(number), number, state: "complete" });
    }
    await world.put("placement", {
      ...{ instanceId: "old", appId: app?.id ?? "", releaseId: releaseId(5), nodeId: "n" },
      ...{ desired: "draining", reason: "", createdAt: 0, changedAt: 0 },
    });
    expect(await trimReleases(world.store, { keep: 4 })).toBe(6);
    expect(await numbers()).toEqual([12, 11, 10, 9, 5, 3]);
    expect((await world.records("rollout")).map(({ number }) => number)).toEqual([3]);
    expect(await trimReleases(world.store, { keep: 4 })).toBe(0);
  });
});
