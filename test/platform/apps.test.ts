import { describe, expect, it } from "vitest";
import { createWorld, testNode } from "./world.js";

describe("apps", () => {
  it("scales, stops and starts, telling what it did", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("hello");
    expect((await platform.scaleApp("hello", { instances: 4 }, world.write())).instances).toBe(4);
    expect((await platform.stopApp("hello", world.write())).desired).toBe("stopped");
    expect((await platform.startApp("hello", world.write())).desired).toBe("running");
    await platform.startApp("hello", world.write());
    const types = (await platform.listEvents({ app: "hello" })).map((event) => event.type);
    expect(types.slice(3)).toEqual(["app.scaled", "app.stopped", "app.started"]);
  });

  it.each([-1, 1.5, 1001, 1e9, NaN, Infinity])("refuses %s instances", async (instances) => {
    await using world = await createWorld();
    await world.push("hello");
    const attempt = world.platform.scaleApp("hello", { instances }, world.write());
    await expect(attempt).rejects.toMatchObject({ code: "DINP_INVALID", details: { field: "instances" } });
    expect((await world.platform.getApp("hello")).instances).toBe(1);
  });

  it.each(["", "Hello", "-a", "a-", "a.b", "x".repeat(64), "a\nb", "$(id)", "__proto__", "ä"])(
    "refuses the name %j",
    async (name) => {
      await using world = await createWorld();
      const attempt = world.platform.createRelease(name, { buildId: "x" }, world.write());
      await expect(attempt).rejects.toMatchObject({ code: "DINP_INVALID" });
      await expect(world.platform.getApp(name)).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
    },
  );

  it("tells how the app does from what the leader and the agents wrote", async () => {
    await using world = await createWorld();
    const { platform } = world;
    const state = async () => (await platform.getApp("hello")).state;
    await world.push("hello");
    expect(await state()).toBe("starting");
    await world.place("hello", "i-1", false);
    await world.endRollout("hello", "running");
    expect(await state()).toBe("starting");
    await world.place("hello", "i-1", true);
    await world.endRollout("hello", "complete");
    expect(await state()).toBe("running");
    expect(await platform.listApps()).toMatchObject([{ name: "hello", ready: 1, state: "running" }]);
    await platform.changeEnv("hello", { set: { A: "1" } }, world.write());
    expect(await state()).toBe("deploying");
    await world.endRollout("hello", "failed");
    expect(await state()).toBe("running");
    const detail = await platform.getApp("hello");
    expect(detail.notices).toEqual(["Release 2 failed: is failed."]);
    expect(detail.instanceList).toMatchObject([
      { id: "i-1", release: 1, ready: true, endpoint: "127.0.0.1:20001" },
    ]);
    await platform.scaleApp("hello", { instances: 2 }, world.write());
    expect(await state()).toBe("degraded");
    await platform.stopApp("hello", world.write());
    expect(await state()).toBe("stopping");
    await world.store.commit([{ op: "delete", kind: "placement", key: "i-1" }]);
    expect(await state()).toBe("stopped");
  });

  it("tells of crashes and of what could not be placed", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const app = (await world.records("app"))[0];
    const releaseId = app?.currentRelease ?? "";
    const appId = app?.id ?? "";
    await world.put("crash", {
      releaseId,
      appId,
      failures: 3,
      lastAt: 5,
      lastInstanceId: "i-0",
      lastReason: "exited with code 1",
      lastCause: "exited",
      logTail: ["Error: no database"],
    });
    await world.put("event", {
      id: "evt-1",
      at: 1,
      type: "plan.refused",
      appId,
      appName: "hello",
      instanceId: null,
      nodeId: null,
      actor: "leader",
      message: "no node has 256 MB left",
    });
    expect(await world.platform.getApp("hello")).toMatchObject({
      state: "crashing",
      lastCrash: { failures: 3, at: 5, reason: "exited with code 1", logTail: ["Error: no database"] },
      notices: ["no node has 256 MB left"],
    });
  });

  it("tells of a release that has no room while an older one runs, until it is placed", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("hello");
    await world.place("hello", "i-1", true);
    await world.endRollout("hello", "complete");
    const appId = (await world.records("app"))[0]?.id ?? "";
    let count = 0;
    const tell = async (type: string, message: string): Promise<void> => {
      count += 1;
      const about = { appId, appName: "hello", instanceId: null, nodeId: null, actor: "leader" };
      await world.put("event", { id: `evt-${String(count)}`, at: count, type, message, ...about });
    };
    const notices = async (): Promise<readonly string[]> => (await platform.getApp("hello")).notices;
    await tell("plan.refused", "no-capacity: of release 1");
    expect(await notices()).toEqual([]);
    await platform.changeEnv("hello", { set: { A: "1" } }, world.write());
    expect(await notices()).toEqual([]);
    await world.endRollout("hello", "running");
    await tell("rollout.started", "release 2");
    expect(await notices()).toEqual([]);
    await tell("plan.refused", "no-capacity: of release 2");
    expect(await notices()).toEqual(["no-capacity: of release 2"]);
    await tell("instance.placed", "there is room");
    expect(await notices()).toEqual([]);
    await tell("plan.refused", "no-capacity: once more");
    expect(await notices()).toEqual(["no-capacity: once more"]);
    await world.place("hello", "i-2", false);
    expect(await notices()).toEqual([]);
  });

  it("tells of an instance that a health monitor withdrew, by whom and why", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("hello");
    for (const id of ["i-1", "i-2"]) await world.place("hello", id, true);
    const appId = (await world.records("app"))[0]?.id ?? "";
    const about = { instanceId: "i-1", appId };
    await world.put("withdrawal", { ...about, monitorId: "later", since: 8, reason: "refused" });
    await world.put("withdrawal", { ...about, monitorId: "hm-1", since: 5, reason: "no answer" });
    const withdrawn = { by: "hm-1", since: 5, reason: "no answer" };
    const detail = await platform.getApp("hello");
    expect(detail.instanceList.map((instance) => instance.withdrawn)).toEqual([withdrawn, null]);
    expect(detail).toMatchObject({ state: "starting", ready: 2 });
    const { items } = await platform.pageInstances({});
    expect(items.map((instance) => [instance.id, instance.withdrawn])).toEqual([
      ["i-1", withdrawn],
      ["i-2", null],
    ]);
    const { facts } = await platform.explain("hello", {});
    expect(facts.filter(({ about: subject }) => subject === "withdrawn")).toEqual([
      {
        about: "withdrawn",
        text: "i-1: the health monitor hm-1 took it off its routes: no answer",
        at: 5,
      },
    ]);
  });

  it("lists nodes with what is reserved on them", async () => {
    await using world = await createWorld();
    await world.put("node", testNode);
    await world.push("hello");
    await world.place("hello", "i-1", true);
    await world.place("hello", "i-2", true);
    expect(await world.platform.listNodes()).toMatchObject([
      { id: "node-1", instances: 2, reservedMemoryMb: 512, reservedCpuMillis: 200 },
    ]);
  });
});

describe("delete", () => {
  it("leaves a tombstone, frees the name and the domains, and hides behind a new app of that name", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("hello");
    await platform.addDomain("hello", { host: "www.example.org" }, world.write());
    await platform.deleteApp("hello", {}, world.write());
    expect((await platform.getApp("hello")).state).toBe("deleting");
    expect(await world.records("domain")).toEqual([]);
    const [tombstone] = await world.records("app");
    expect(tombstone?.deletedAt).not.toBeNull();
    await expect(platform.startApp("hello", world.write())).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
    await world.push("hello");
    expect((await platform.listApps()).map((app) => app.state)).toEqual(["starting"]);
    expect(await world.records("app")).toHaveLength(2);
  });

  it("asks for a confirmation of the sixth deletion within ten minutes, also of parallel ones", async () => {
    await using world = await createWorld();
    const { platform } = world;
    const { id } = await world.build("app0");
    const names = Array.from({ length: 9 }, (_, index) => `app${String(index)}`);
    const [build] = await world.records("build");
    if (build === undefined) throw new Error("no build");
    for (const name of names) {
      await world.put("build", { ...build, id: `${id}-${name}`, appName: name });
      await platform.createRelease(name, { buildId: `${id}-${name}` }, world.write());
    }
    const results = await Promise.allSettled(
      names.map((name) => platform.deleteApp(name, {}, world.write())),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
    for (const result of results) {
      if (result.status === "rejected")
        expect(result.reason).toMatchObject({ code: "DINP_CONFIRMATION_REQUIRED" });
    }
    const left = (await platform.listApps()).filter((app) => app.state !== "deleting").map((app) => app.name);
    expect(left).toHaveLength(4);
    await platform.deleteApp(left[0] ?? "", { confirm: true }, world.write());
    await expect(platform.deleteApp(left[1] ?? "", {}, world.write())).rejects.toMatchObject({
      code: "DINP_CONFIRMATION_REQUIRED",
      message: expect.stringContaining("deletion 7 within ten minutes; 5 of 9 apps") as string,
    });
    world.clock.offsetMs += 600_001;
    await platform.deleteApp(left[1] ?? "", {}, world.write());
  });
});

describe("domains", () => {
  it("adds, lists and removes them in the form that routes use", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("hello");
    const added = await platform.addDomain(
      "hello",
      { host: "WWW.Example.ORG.", path: "/shop/" },
      world.write(),
    );
    expect(added).toEqual({ host: "www.example.org", path: "/shop" });
    await platform.addDomain("hello", { host: "www.example.org", path: "/shop" }, world.write());
    expect(await platform.listDomains("hello")).toEqual([added]);
    await platform.removeDomain("hello", added, world.write());
    expect(await platform.listDomains("hello")).toEqual([]);
    await expect(platform.removeDomain("hello", added, world.write())).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
      hint: "It has no domains.",
    });
  });

  it("refuses another app's domain, also in a manifest and in a race", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("one");
    await world.push("two");
    const both = await Promise.allSettled(
      ["one", "two"].map((app) => platform.addDomain(app, { host: "a.example.org" }, world.write())),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const [domain] = await world.records("domain");
    const owner = (await world.records("app")).find((app) => app.id === domain?.appId)?.name ?? "";
    const other = owner === "one" ? "two" : "one";
    await expect(platform.addDomain(other, { host: "a.example.org" }, world.write())).rejects.toMatchObject({
      code: "DINP_NOT_UNIQUE",
      message: `The domain "a.example.org" belongs to the app "${owner}".`,
    });
    const push = world.push("three", { "index.html": "hi", "dinp.yaml": "domains: [a.example.org]" });
    await expect(push).rejects.toMatchObject({ code: "DINP_NOT_UNIQUE" });
    expect((await platform.listApps()).map((app) => app.name)).toEqual(["one", "two"]);
  });

  it.each([
    "apps.localhost",
    "other.apps.localhost",
    "OTHER.Apps.Localhost.",
    "localhost",
    "*.example.org",
    "http://example.org",
    "example.org:80",
    "a@example.org",
    "127.0.0.1",
    "[::1]",
    "ä.example.org",
    "a..b",
    "",
    "x".repeat(64) + ".org",
    "\u001b[31m.org",
  ])("refuses the host %j", async (host) => {
    await using world = await createWorld();
    await world.push("hello");
    const attempt = world.platform.addDomain("hello", { host }, world.write());
    await expect(attempt).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.not.stringContaining("\u001b") as string,
      details: { field: "host" },
    });
  });

  it.each(["shop", "//", "/a//b", "/../x", "/a b", "/a?b", "/%2e%2e", `/${"x".repeat(250)}`])(
    "refuses the path %j",
    async (path) => {
      await using world = await createWorld();
      await world.push("hello");
      const attempt = world.platform.addDomain("hello", { host: "www.example.org", path }, world.write());
      await expect(attempt).rejects.toMatchObject({ code: "DINP_INVALID", details: { field: "path" } });
    },
  );
});

describe("tokens", () => {
  it("keeps only the hash of a secret, and knows whose it is", async () => {
    await using world = await createWorld();
    const token = await world.platform.createAdminToken({ subject: "ci" });
    expect(await world.platform.authenticate(token.secret)).toEqual({
      tokenId: token.id,
      subject: "ci",
      role: "admin",
    });
    const { records } = await world.store.snapshot();
    expect(JSON.stringify(records)).not.toContain(token.secret);
    for (const secret of [
      "",
      "dinp_",
      `${token.secret}x`,
      token.secret.toUpperCase(),
      "x".repeat(1_000_000),
    ]) {
      await expect(world.platform.authenticate(secret)).rejects.toMatchObject({
        code: "DINP_UNAUTHENTICATED",
      });
    }
  });
});
