import { describe, expect, it } from "vitest";
import { createWorld, nodeApp, testNode } from "./world.js";

const manifest = (text: string) => ({ ...nodeApp, "dinp.yaml": text });

describe("releases", () => {
  it("makes the app with its first release, and numbers the next ones", async () => {
    await using world = await createWorld();
    const { platform } = world;
    const build = await world.build("hello");
    expect(build).toMatchObject({ state: "succeeded", template: "node", files: 2 });
    const first = await platform.createRelease("hello", { buildId: build.id, memoryMb: 64 }, world.write());
    expect(first).toMatchObject({
      number: 1,
      digest: build.digest,
      memoryMb: 64,
      current: true,
      unchanged: false,
    });
    expect(await world.push("hello", { ...nodeApp, "more.txt": "x" })).toBe(2);
    const app = await platform.getApp("hello");
    expect(app).toMatchObject({
      release: 2,
      memoryMb: 64,
      instances: 1,
      state: "starting",
      desired: "running",
    });
    expect(app.urls).toEqual(["http://hello.apps.localhost:8080/"]);
    expect(
      (await platform.listReleases("hello")).map((r) => [r.number, r.current, r.rollout?.state]),
    ).toEqual([
      [2, true, "pending"],
      [1, false, "superseded"],
    ]);
    const types = (await platform.listEvents({ app: "hello" })).map((event) => event.type);
    expect(types).toEqual([
      "build.succeeded",
      "app.created",
      "release.created",
      "build.succeeded",
      "release.created",
    ]);
  });

  it("makes no release of an identical push, unless the last one failed", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const again = await world.build("hello");
    const result = await world.platform.createRelease("hello", { buildId: again.id }, world.write());
    expect(result).toMatchObject({ number: 1, unchanged: true });
    expect(await world.records("release")).toHaveLength(1);
    await world.endRollout("hello", "failed");
    expect(await world.push("hello")).toBe(2);
  });

  it("scales without a release when only the number of instances differs", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const { id } = await world.build("hello");
    const result = await world.platform.createRelease("hello", { buildId: id, instances: 3 }, world.write());
    expect(result).toMatchObject({ number: 1, unchanged: true });
    expect((await world.platform.getApp("hello")).instances).toBe(3);
  });

  it("takes the request's values before the manifest's, and the manifest's before the last release's", async () => {
    await using world = await createWorld();
    const { platform } = world;
    const first = await world.build(
      "hello",
      manifest(
        "instances: 2\nmemory: 128\nenv: {A: manifest, B: manifest}\ndomains: [www.example.org]\ncheck: {path: /up}",
      ),
    );
    const request = { buildId: first.id, memoryMb: 64, env: { A: "user" } };
    expect(await platform.createRelease("hello", request, world.write())).toMatchObject({ memoryMb: 64 });
    expect(await platform.getEnv("hello")).toEqual({
      env: { A: "user" },
      manifestEnv: { A: "manifest", B: "manifest" },
      secrets: {},
    });
    expect(await platform.listDomains("hello")).toEqual([{ host: "www.example.org", path: "/" }]);
    expect((await platform.getApp("hello")).instances).toBe(2);

    const second = await world.build("hello", manifest("env: {C: new}"));
    await platform.createRelease("hello", { buildId: second.id }, world.write());
    expect(await platform.getEnv("hello")).toEqual({
      env: { A: "user" },
      manifestEnv: { C: "new" },
      secrets: {},
    });
    const release = (await world.records("release")).find(({ number }) => number === 2);
    expect(release).toMatchObject({ memoryMb: 64, check: { path: "/up" } });
    expect((await platform.getApp("hello")).instances).toBe(2);
    expect((await platform.getApp("hello")).urls).toContain("http://www.example.org:8080/");
  });

  it("starts a stopped app by a push", async () => {
    await using world = await createWorld();
    await world.push("hello");
    await world.platform.stopApp("hello", world.write());
    await world.push("hello");
    expect((await world.platform.getApp("hello")).desired).toBe("running");
  });

  it("refuses a program that no node has, naming it and the nodes", async () => {
    await using world = await createWorld();
    await world.put("node", { ...testNode, programs: ["python3"] });
    const { id } = await world.build("hello");
    const attempt = world.platform.createRelease("hello", { buildId: id }, world.write());
    await expect(attempt).rejects.toMatchObject({
      code: "DINP_PROGRAM_MISSING",
      message: "The app needs `node`, which no node has (node-1).",
      hint: expect.stringContaining("apt-get install nodejs") as string,
    });
    expect(await world.records("app")).toHaveLength(0);
    await world.put("node", { ...testNode, id: "node-2", programs: null });
    await world.platform.createRelease("hello", { buildId: id }, world.write());
    expect(await world.records("app")).toHaveLength(1);
  });

  it("refuses an image without a base where all nodes run containers, unless it starts a file of its own", async () => {
    await using world = await createWorld();
    await world.put("node", { ...testNode, programs: null });
    const { id } = await world.build("hello");
    const release = (command?: readonly string[]): Promise<unknown> =>
      world.platform.createRelease(
        "hello",
        { buildId: id, ...(command === undefined ? {} : { command }) },
        world.write(),
      );
    await expect(release()).rejects.toMatchObject({
      code: "DINP_PROGRAM_MISSING",
      message: expect.stringMatching(/^The app starts "[^"]+", and its image is on no base image/) as string,
      hint: "Register a base image, and push again: dinp bases add node --from TAR.",
    });
    await expect(release(["/bin/sh", "-c", "./serve"])).rejects.toMatchObject({
      code: "DINP_PROGRAM_MISSING",
    });
    expect(await world.records("app")).toHaveLength(0);
    await release(["./serve"]);
    expect(await world.records("app")).toHaveLength(1);
  });

  it.each([
    [{ instances: -1 }, "instances is -1; it must be a whole number from 0 to 1000."],
    [{ instances: 1e9 }, "instances is 1000000000; it must be"],
    [{ instances: 1.5 }, "instances is 1.5"],
    [{ memoryMb: NaN }, "memoryMb is NaN; it must be a whole number from 16 to 1048576."],
    [{ memoryMb: 2 ** 53 }, "memoryMb is 9007199254740992"],
    [{ memoryMb: -1 }, "memoryMb is -1"],
    [{ cpuMillis: 0 }, "cpuMillis is 0"],
    [{ env: { LD_PRELOAD: "x", "A=B\nC": "1" } }, "The environment variable"],
    [{ env: { PORT: "1" } }, 'The environment variable "PORT" is refused'],
    [{ env: { ["__proto__"]: "1" } }, 'The environment variable "__proto__" is refused'],
    [{ env: { A: "nul\0" } }, 'The environment variable "A" is refused'],
    [{ command: [] }, "command"],
    [{ command: ["node", "a\0b"] }, "command"],
  ])("refuses %o", async (values, message) => {
    await using world = await createWorld();
    const { id } = await world.build("hello");
    const attempt = world.platform.createRelease("hello", { buildId: id, ...values }, world.write());
    await expect(attempt).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringContaining(message) as string,
    });
    expect(await world.records("app")).toHaveLength(0);
  });

  it("does not let variables of the prototype's names touch anything else", async () => {
    await using world = await createWorld();
    const { id } = await world.build("hello");
    const env = { constructor: "a", toString: "b" };
    await world.platform.createRelease("hello", { buildId: id, env }, world.write());
    const stored = await world.platform.getEnv("hello");
    expect(Object.entries(stored.env).sort()).toEqual(Object.entries(env).sort());
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  it("refuses a build of another app, an unknown and a failed one", async () => {
    await using world = await createWorld();
    const { platform } = world;
    const { id } = await world.build("other");
    const wrong = platform.createRelease("hello", { buildId: id }, world.write());
    await expect(wrong).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
    const strange = platform.createRelease("hello", { buildId: "\u001b[2J" }, world.write());
    await expect(strange).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
      message: expect.not.stringContaining("\u001b") as string,
    });
    const broken = platform.createBuild(
      "hello",
      {
        bytes: (async function* () {
          yield await Promise.resolve(new TextEncoder().encode("this is no archive"));
        })(),
      },
      world.write(),
    );
    await expect(broken).rejects.toMatchObject({ code: "DINP_ARCHIVE_REFUSED" });
    const failed = (await world.records("build")).find((build) => build.state === "failed");
    const attempt = platform.createRelease("hello", { buildId: failed?.id ?? "" }, world.write());
    await expect(attempt).rejects.toMatchObject({ code: "DINP_INVALID" });
    expect(failed?.error).toBeTruthy();
  });
});

describe("rollback", () => {
  it("goes back to the newest other release that ran well and differs", async () => {
    await using world = await createWorld();
    const { platform } = world;
    for (const text of ["1", "2", "3"]) {
      await world.push("hello", { ...nodeApp, "version.txt": text });
      await world.endRollout("hello", text === "3" ? "failed" : "complete");
    }
    const digests = (await platform.listReleases("hello")).map((release) => release.digest);
    const back = await platform.rollback("hello", {}, world.write());
    expect(back).toMatchObject({ number: 4, digest: digests[1], note: "rollback to 2", unchanged: false });
    await world.endRollout("hello", "complete");
    expect(await platform.rollback("hello", {}, world.write())).toMatchObject({
      number: 5,
      digest: digests[2],
    });
    expect(await platform.rollback("hello", { to: 3 }, world.write())).toMatchObject({
      number: 6,
      digest: digests[0],
    });
  });

  it("brings the old variables back", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("hello");
    await platform.changeEnv("hello", { set: { A: "1" } }, world.write());
    await platform.changeEnv("hello", { set: { A: "2" } }, world.write());
    await platform.rollback("hello", { to: 2 }, world.write());
    expect((await platform.getEnv("hello")).env).toEqual({ A: "1" });
  });

  it("says why it cannot", async () => {
    await using world = await createWorld();
    await world.push("hello");
    const attempt = (to?: number) => world.platform.rollback("hello", { to }, world.write());
    await expect(attempt()).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
    await expect(attempt(1)).rejects.toMatchObject({ message: 'Release 1 of "hello" is the current one.' });
    await expect(attempt(7)).rejects.toMatchObject({ message: 'The app "hello" has no release 7.' });
    await expect(attempt(NaN)).rejects.toMatchObject({ code: "DINP_INVALID" });
  });
});

describe("env", () => {
  it("makes a release of each change, and none of none", async () => {
    await using world = await createWorld();
    const { platform } = world;
    await world.push("hello");
    const set = await platform.changeEnv("hello", { set: { A: "1", B: "2" } }, world.write());
    expect(set).toMatchObject({ number: 2, envNames: ["A", "B"], note: "env set A B", unchanged: false });
    const same = await platform.changeEnv("hello", { set: { A: "1" }, unset: ["MISSING"] }, world.write());
    expect(same).toMatchObject({ number: 2, unchanged: true });
    const unset = await platform.changeEnv("hello", { unset: ["A"] }, world.write());
    expect(unset).toMatchObject({ number: 3, envNames: ["B"] });
    const events = JSON.stringify(await platform.listEvents({}));
    expect(events).not.toContain('"2"');
  });

  it("refuses what it cannot do", async () => {
    await using world = await createWorld();
    await world.push("hello", { ...nodeApp, "dinp.yaml": "env: {M: x}" });
    const attempt = (request: object) => world.platform.changeEnv("hello", request, world.write());
    await expect(attempt({})).rejects.toMatchObject({ code: "DINP_INVALID" });
    await expect(attempt({ set: { A: "1" }, unset: ["A"] })).rejects.toMatchObject({ code: "DINP_INVALID" });
    await expect(attempt({ unset: ["M"] })).rejects.toMatchObject({
      message: `The variable "M" comes from the app's dinp.yaml.`,
    });
    await expect(attempt({ set: { DINP_X: "1" } })).rejects.toMatchObject({ code: "DINP_INVALID" });
    await expect(attempt({ set: { BIG: "x".repeat(200_000) } })).rejects.toMatchObject({
      code: "DINP_INVALID",
    });
  });
});
