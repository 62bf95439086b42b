import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  EventTimes,
  isDinpError,
  kinds,
  type DinpError,
  type EnvRequest,
  type PlatformOptions,
} from "@dinp/core";
import { addSecretKey, createFileSecretBox, createSystemRandom } from "@dinp/core/system";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PlatformContext } from "../../src/core/platform/context.js";
import { resealSecrets } from "../../src/core/platform/resealing.js";
import { createWorld, nodeApp, type World } from "./world.js";

const CANARY = "canary-7f2c ☃ correct horse";

let folder = "";
let keyFile = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-secrets-"));
  keyFile = join(folder, "secrets.key");
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** A world with one app that has a release. */
async function openWorld(options: Partial<PlatformOptions> = {}): Promise<World> {
  const world = await createWorld({ secrets: createFileSecretBox({ keyFile }), ...options });
  await world.push("hello");
  return world;
}

function setEnv(world: World, request: EnvRequest, key?: string): ReturnType<World["platform"]["changeEnv"]> {
  return world.platform.changeEnv("hello", request, world.write(key));
}

async function errorOf(promise: Promise<unknown>): Promise<DinpError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!isDinpError(error)) throw new Error(`no DinpError: ${String(error)}`);
  return error;
}

/** Everything that the store holds, and all that the platform tells. */
async function everything(world: World): Promise<string> {
  const { platform } = world;
  const stored = await Promise.all(kinds.map((kind) => world.records(kind)));
  const told = await Promise.all([
    platform.getEnv("hello"),
    platform.listReleases("hello"),
    platform.listEvents({}),
    platform.getApp("hello"),
    platform.explain("hello", {}),
  ]);
  return JSON.stringify([stored, told, world.logger.lines]);
}

describe("a secret", () => {
  it("is stored sealed, in a release that refers to it, and never told again", async () => {
    await using world = await openWorld();
    const made = await setEnv(world, { set: { PLAIN: "seen" }, secrets: { TOKEN: CANARY } });
    expect(made).toMatchObject({ number: 2, envNames: ["PLAIN", "TOKEN"], unchanged: false });
    expect(made.note).toBe("env set PLAIN, secret TOKEN set to version 1");
    const view = await world.platform.getEnv("hello");
    expect(view).toEqual({
      env: { PLAIN: "seen" },
      manifestEnv: {},
      secrets: { TOKEN: { version: 1, setAt: expect.any(Number), setBy: "admin" } },
    });
    const release = (await world.records("release")).find(({ number }) => number === 2);
    expect(release?.secrets).toEqual({ TOKEN: { secret: "TOKEN", version: 1 } });
    const told = await everything(world);
    for (const text of [CANARY, "canary-7f2c", Buffer.from(CANARY).toString("base64")])
      expect(told).not.toContain(text);
    expect(told).toContain("seen");
  });

  it("gets a new version and a release with each new value, and none with the same one", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: "one-one", OTHER: "fixed" } });
    expect(await setEnv(world, { secrets: { TOKEN: "one-one" } })).toMatchObject({
      number: 2,
      unchanged: true,
    });
    const made = await setEnv(world, { secrets: { TOKEN: "two-two", OTHER: "fixed" } });
    expect(made).toMatchObject({ number: 3, note: "secret TOKEN set to version 2" });
    expect((await world.platform.getEnv("hello")).secrets).toMatchObject({
      TOKEN: { version: 2 },
      OTHER: { version: 1 },
    });
    expect(await world.records("secretVersion")).toHaveLength(3);
  });

  it("is kept by pushes, wins over the manifest, and is no plain variable", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: CANARY } });
    await world.push("hello", { ...nodeApp, "dinp.yaml": "env: {TOKEN: from-manifest, MORE: m}" });
    expect((await world.platform.getEnv("hello")).secrets).toMatchObject({ TOKEN: { version: 1 } });
    const { id } = await world.build("hello");
    for (const refused of [
      await errorOf(setEnv(world, { set: { TOKEN: "plain" } })),
      await errorOf(
        world.platform.createRelease("hello", { buildId: id, env: { TOKEN: "plain" } }, world.write()),
      ),
    ])
      expect(refused).toMatchObject({ code: "DINP_INVALID", details: { field: "env.TOKEN" } });
    await setEnv(world, { unset: ["TOKEN"] });
    expect((await world.platform.getEnv("hello")).secrets).toEqual({});
    await setEnv(world, { set: { TOKEN: "plain" } });
    await setEnv(world, { secrets: { TOKEN: "again" } });
    const view = await world.platform.getEnv("hello");
    expect(view).toMatchObject({ env: {}, secrets: { TOKEN: { version: 2 } } });
  });

  it("has its latest value after a rollback, or that of the time when asked for", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: "first" } });
    await setEnv(world, { secrets: { TOKEN: "second" } });
    const { platform } = world;
    await platform.rollback("hello", { to: 2 }, world.write());
    expect((await platform.getEnv("hello")).secrets["TOKEN"]?.version).toBe(2);
    await platform.rollback("hello", { to: 2, secrets: "as-released" }, world.write());
    expect((await platform.getEnv("hello")).secrets["TOKEN"]?.version).toBe(1);
    await platform.rollback("hello", { to: 1 }, world.write());
    expect((await platform.getEnv("hello")).secrets).toEqual({});
  });

  it("is nothing to go back to by itself, unless its old value is asked for", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: "first" } });
    await world.endRollout("hello", "complete");
    await setEnv(world, { secrets: { TOKEN: "second" } });
    const { platform } = world;
    expect(await errorOf(platform.rollback("hello", {}, world.write()))).toMatchObject({
      code: "DINP_NOT_FOUND",
    });
    await platform.rollback("hello", { secrets: "as-released" }, world.write());
    expect((await platform.getEnv("hello")).secrets["TOKEN"]?.version).toBe(1);
  });

  it("goes with its app", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: "first" } });
    await world.platform.deleteApp("hello", {}, world.write());
    expect(await world.records("secretVersion")).toEqual([]);
  });

  it("that is set by two at the same time has both values, as versions", async () => {
    await using world = await openWorld();
    const values = ["a", "b", "c", "d"].map((letter) => letter.repeat(8));
    await Promise.all(values.map((value) => setEnv(world, { secrets: { TOKEN: value } })));
    const versions = (await world.records("secretVersion")).map(({ version }) => version);
    expect(versions.sort()).toEqual([1, 2, 3, 4]);
    const current = (await world.platform.getEnv("hello")).secrets["TOKEN"]?.version;
    expect(current).toBe(4);
  });

  it("is set once by a request that is repeated with its key, and leaves no hash of its value", async () => {
    await using world = await openWorld();
    const first = await setEnv(world, { secrets: { TOKEN: "1234" } }, "key-1");
    expect(await setEnv(world, { secrets: { TOKEN: "1234" } }, "key-1")).toEqual(first);
    expect(await world.records("secretVersion")).toHaveLength(1);
    // The value is no part of what is compared, or who has the store could try all short values.
    expect(await setEnv(world, { secrets: { TOKEN: "5678" } }, "key-1")).toEqual(first);
    const reused = await errorOf(setEnv(world, { secrets: { OTHER: "1234" } }, "key-1"));
    expect(reused.code).toBe("DINP_IDEMPOTENCY_KEY_REUSED");
  });

  it.each<[string, EnvRequest]>([
    ["a name that is none", { secrets: { "A-B": CANARY } }],
    ["a name that is too long", { secrets: { ["A".repeat(129)]: CANARY } }],
    ["a name of the platform's", { secrets: { DINP_X: CANARY } }],
    ["the port", { secrets: { PORT: CANARY } }],
    ["a NUL", { secrets: { A: `${CANARY}\0` } }],
    ["too long a value", { secrets: { A: CANARY + "x".repeat(64 * 1024) } }],
    ["a value that is plain as well", { set: { A: "x" }, secrets: { A: CANARY } }],
    ["a value for what is unset", { unset: ["A"], secrets: { A: CANARY } }],
    [
      "more than an environment takes",
      { secrets: Object.fromEntries(["A", "B", "C"].map((name) => [name, CANARY + "x".repeat(60_000)])) },
    ],
  ])("is refused with %s, and its value is not told", async (_, request) => {
    await using world = await openWorld();
    const refused = await errorOf(setEnv(world, request));
    expect(refused.code).toBe("DINP_INVALID");
    expect(JSON.stringify([refused.message, refused.hint, refused.details])).not.toContain("canary");
    expect(await world.records("secretVersion")).toEqual([]);
    expect(await everything(world)).not.toContain("canary");
  });

  it("counts for the size of the whole environment, together with what was there", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { A: "x".repeat(60_000), B: "x".repeat(60_000) } });
    for (const request of [{ set: { C: "x".repeat(12_000) } }, { secrets: { C: "x".repeat(12_000) } }])
      expect(await errorOf(setEnv(world, request))).toMatchObject({ code: "DINP_INVALID" });
    await setEnv(world, { secrets: { A: "short" } });
    await setEnv(world, { set: { C: "x".repeat(12_000) } });
  });

  it("shows in a plan as a changed name, never as a value", async () => {
    await using world = await openWorld({
      cluster: () => ({ ...noCluster, plan: () => ({ ...emptyPlan }) }),
    });
    await setEnv(world, { secrets: { TOKEN: CANARY } });
    const plan = await world.platform.planPush("hello", { env: { TOKEN: "plain" } });
    expect(plan.problems).toEqual(['The variable "TOKEN" is a secret.']);
    const kept = await world.platform.planPush("hello", { manifest: { env: { TOKEN: "m" } } });
    expect(kept.env).toEqual({ added: [], removed: [], changed: [] });
    expect(JSON.stringify([plan, kept])).not.toContain("canary");
  });
});

const emptyPlan = { revision: 0, at: 0, fresh: true, wakeAt: null, apps: [], refused: [] };
const noCluster = {
  exec: () => {
    throw new Error("no exec");
  },
  runOnce: () => {
    throw new Error("no run");
  },
  nextStartAt: () => null,
  routing: () => null,
  nodeLink: () => null,
  routerProgress: () => null,
};

describe("versions of secrets", () => {
  it("beyond the newest ten go, but those that are still needed", async () => {
    await using world = await openWorld();
    for (let number = 1; number <= 13; number += 1)
      await setEnv(world, { secrets: { TOKEN: `value ${String(number)}`, GONE: "x" } });
    const { platform } = world;
    await platform.rollback("hello", { to: 2, secrets: "as-released" }, world.write());
    const kept = async (name: string): Promise<number[]> =>
      (await world.records("secretVersion"))
        .filter((each) => each.name === name)
        .map(({ version }) => version)
        .sort((a, b) => a - b);
    await platform.tidy();
    expect(await kept("TOKEN")).toEqual([1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect(await kept("GONE")).toEqual([1]);
    const gone = platform.rollback("hello", { to: 3, secrets: "as-released" }, world.write());
    expect(await errorOf(gone)).toMatchObject({
      code: "DINP_NOT_FOUND",
      details: { secret: "TOKEN", version: 2 },
    });
    await platform.rollback("hello", { to: 3 }, world.write());
    expect((await platform.getEnv("hello")).secrets["TOKEN"]?.version).toBe(13);
  });

  it("of a secret that no release refers to any more all go", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: "a", KEPT: "b" } });
    await setEnv(world, { unset: ["TOKEN"] });
    await world.platform.tidy();
    expect(await world.records("secretVersion")).toHaveLength(2);
    const old = (await world.records("release")).find(({ number }) => number === 2);
    await world.store.commit([{ op: "delete", kind: "release", key: old?.id ?? "" }]);
    await world.platform.tidy();
    expect((await world.records("secretVersion")).map(({ name }) => name)).toEqual(["KEPT"]);
  });
});

/** What a go of sealing anew needs. */
function contextOf({ store, clock, logger }: World): PlatformContext {
  const secrets = createFileSecretBox({ keyFile });
  const random = createSystemRandom();
  return {
    store,
    clock,
    logger,
    secrets,
    random,
    eventTimes: new EventTimes(),
  } as unknown as PlatformContext;
}

describe("the key of secrets", () => {
  it("that is lost is not replaced in silence", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: CANARY } });
    await rm(keyFile);
    for (const name of ["TOKEN", "OTHER"]) {
      const refused = await errorOf(setEnv(world, { secrets: { [name]: "new" } }));
      expect(refused).toMatchObject({ code: "DINP_UNAVAILABLE", hint: expect.stringContaining("backup") });
    }
    const registry = world.platform.addRegistry(
      "registry.example",
      { username: "u", password: "p" },
      world.write(),
    );
    expect(await errorOf(registry)).toMatchObject({ code: "DINP_UNAVAILABLE" });
    expect((await world.platform.getEnv("hello")).secrets["TOKEN"]?.version).toBe(1);
    await addSecretKey({ keyFile });
    await setEnv(world, { secrets: { TOKEN: CANARY } });
    expect((await world.platform.getEnv("hello")).secrets["TOKEN"]?.version).toBe(2);
  });

  it("that was changed seals everything anew, in goes, and says when the old one may go", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: CANARY, OTHER: "other" } });
    const sealedBefore = (await world.records("secretVersion")).map(({ sealed }) => sealed);
    const [next = "", old = ""] = await addSecretKey({ keyFile });
    const { platform } = world;
    expect(await platform.listSecretKeys()).toEqual({
      keys: [
        { name: next, state: "seals", sealed: 0 },
        { name: old, state: "opens", sealed: 2 },
      ],
      unnamed: 0,
    });
    await platform.tidy();
    expect((await platform.listSecretKeys()).keys.map(({ sealed }) => sealed)).toEqual([2, 0]);
    const versions = await world.records("secretVersion");
    expect(versions.some(({ sealed }) => sealedBefore.includes(sealed))).toBe(false);
    const told = (await platform.listEvents({})).filter(({ type }) => type === "secrets.resealed");
    expect(told.map(({ message }) => message)).toEqual([expect.stringContaining(next)]);
    await platform.tidy();
    expect((await platform.listEvents({})).filter(({ type }) => type === "secrets.resealed")).toHaveLength(1);
    expect(await setEnv(world, { secrets: { TOKEN: CANARY } })).toMatchObject({ unchanged: true });
  });

  it("is changed a bounded number of secrets at a time; what cannot be opened stays, and is told", async () => {
    await using world = await openWorld();
    await setEnv(world, { secrets: { TOKEN: CANARY } });
    const [version] = await world.records("secretVersion");
    if (version === undefined) throw new Error("there is no secret");
    const box = createFileSecretBox({ keyFile });
    for (let number = 2; number <= 702; number += 1) {
      const sealed = await box.seal("x", `secret ${version.appId}/TOKEN/${String(number)}`);
      await world.put("secretVersion", { ...version, version: number, sealed });
    }
    await addSecretKey({ keyFile });
    const counts = async (): Promise<number[]> =>
      (await world.platform.listSecretKeys()).keys.map(({ sealed }) => sealed);
    await resealSecrets(contextOf(world), {});
    expect(await counts()).toEqual([500, 202]);
    await resealSecrets(contextOf(world), {});
    expect(await counts()).toEqual([702, 0]);
    await rm(keyFile);
    const [fresh = ""] = await addSecretKey({ keyFile });
    await resealSecrets(contextOf(world), {});
    expect((await world.platform.listSecretKeys()).keys).toMatchObject([
      { name: fresh, state: "seals", sealed: 0 },
      { state: "missing", sealed: 702 },
    ]);
    expect(world.logger.lines.join()).toContain("a secret cannot be sealed anew");
    expect(world.logger.lines.join()).not.toContain("canary");
  });

  it("is missed only by what needs it", async () => {
    await using world = await createWorld();
    await world.push("hello");
    expect(await errorOf(setEnv(world, { secrets: { TOKEN: CANARY } }))).toMatchObject({
      code: "DINP_UNAVAILABLE",
    });
    expect(await setEnv(world, { set: { A: "1" } })).toMatchObject({ number: 2 });
  });
});
