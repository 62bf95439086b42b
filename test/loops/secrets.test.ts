import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DinpError, kinds, type Release, type SecretBox } from "@dinp/core";
import { createFileSecretBox } from "@dinp/core/system";
import { afterEach, beforeEach, expect, test } from "vitest";
import { secretMask } from "../../src/core/loops/secret-mask.js";
import { app, Cluster, release, until } from "./cluster.js";

const CANARY = "canary-51ab correct horse";

let folder = "";
let cluster: Cluster;
let box: SecretBox;
/** While set, nothing can be opened, for a reason that will pass. */
let isBoxAway = false;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-secrets-"));
  isBoxAway = false;
  const inner = createFileSecretBox({ keyFile: keyFile() });
  box = {
    ...inner,
    open: async (sealed, purpose) => {
      if (isBoxAway) throw new DinpError("DINP_UNAVAILABLE", "Not now.", { retryable: true });
      return await inner.open(sealed, purpose);
    },
  };
  cluster = await Cluster.with({}, box);
});

afterEach(async () => {
  await cluster.dispose();
  await rm(folder, { recursive: true });
});

function keyFile(): string {
  return join(folder, "secrets.key");
}

/** A version of the secret TOKEN of the app, and what a release needs to refer to it. */
async function putToken(version: number, value: string, appId = "web"): Promise<Pick<Release, "secrets">> {
  const sealed = await box.seal(value, `secret ${appId}/TOKEN/${String(version)}`);
  const about = { appId, name: "TOKEN", version, bytes: value.length, createdAt: 0, createdBy: "admin" };
  await cluster.put("secretVersion", { ...about, sealed });
  return { secrets: { TOKEN: { secret: "TOKEN", version } } };
}

async function ready(appId = "web"): Promise<string[]> {
  const statuses = await cluster.all("instanceStatus");
  return statuses.filter((each) => each.appId === appId && each.ready).map(({ instanceId }) => instanceId);
}

test("instances are started with the secrets of their release, and only they know them", async () => {
  await cluster.deploy(2, 1, { env: { PLAIN: "seen" }, ...(await putToken(1, CANARY)) });
  await until("two are ready", async () => (await ready()).length === 2);
  const specs = [...cluster.runtime().specs.values()];
  expect(specs.map(({ env, secretNames }) => [env["TOKEN"], env["PLAIN"], secretNames])).toEqual(
    Array.from({ length: 2 }, () => [CANARY, "seen", ["TOKEN"]]),
  );
  await cluster.deploy(1, 2, await putToken(2, "second-value"));
  await until("one of the second release is ready", async () => {
    const ids = await ready();
    return ids.length === 1 && cluster.runtime().specs.get(ids[0] ?? "")?.releaseId === "web-r2";
  });
  const [id = ""] = await ready();
  expect(cluster.runtime().specs.get(id)?.env["TOKEN"]).toBe("second-value");
  const stored = await Promise.all(kinds.map((kind) => cluster.all(kind)));
  expect(JSON.stringify([stored, cluster.warnings])).not.toMatch(/canary|second-value/);
});

test("a lost key fails the starts that need it, with a reason, and nothing else; found again, they go on", async () => {
  const secrets = await putToken(1, CANARY);
  await cluster.deploy(1, 1, secrets);
  await until("the first is ready", async () => (await ready()).length === 1);
  const [first = ""] = await ready();
  await rename(keyFile(), `${keyFile()}.lost`);
  await cluster.put("release", { ...release, id: "other-r1", appId: "other" });
  const other = { ...app, id: "other", name: "other", currentRelease: "other-r1" };
  await cluster.put("app", other);
  await cluster.deploy(2, 2, { ...secrets, env: { MORE: "1" } });
  await until("a start has failed for it", async () =>
    (await cluster.all("crash")).some(
      ({ lastCause, lastReason }) =>
        lastCause === "start" && /"TOKEN" \(version 1\) cannot be opened.*secrets\.key/.test(lastReason),
    ),
  );
  await until("the other app is ready", async () => (await ready("other")).length === 1);
  expect(cluster.runtime().running).toContain(first);
  expect(await ready()).toEqual([first]);
  // Neither a new agent nor a new leader disturbs what runs.
  await cluster.stop("n1");
  await cluster.stop("server");
  cluster.startAgent("n1");
  cluster.startServer();
  await cluster.put("app", { ...other, instances: 2 });
  await until("the other app has two", async () => (await ready("other")).length === 2);
  expect(cluster.runtime().running).toContain(first);
  await rename(`${keyFile()}.lost`, keyFile());
  await cluster.deploy(2, 3, { ...secrets, env: { MORE: "2" } });
  await until("the third release is ready", async () => {
    const ids = await ready();
    return ids.filter((id) => cluster.runtime().specs.get(id)?.releaseId === "web-r3").length === 2;
  });
  expect(cluster.warnings.join()).not.toContain("canary");
});

test("secrets that cannot be read now are read later, and hold up nothing else", async () => {
  isBoxAway = true;
  await cluster.deploy(1, 1, await putToken(1, CANARY));
  await until("it is placed", async () => (await cluster.all("placement")).length === 1);
  await cluster.put("release", { ...release, id: "other-r1", appId: "other" });
  await cluster.put("app", { ...app, id: "other", name: "other", currentRelease: "other-r1" });
  await until("the other app is ready", async () => (await ready("other")).length === 1);
  expect(cluster.runtime().started).toHaveLength(1);
  expect(await cluster.all("crash")).toEqual([]);
  isBoxAway = false;
  await until("it is ready", async () => (await ready()).length === 1);
});

test("a secret of another app does not open, even when its record is put in place of the right one", async () => {
  await putToken(1, CANARY, "other");
  const [foreign] = await cluster.all("secretVersion");
  if (foreign === undefined) throw new Error("there is no secret");
  await cluster.put("secretVersion", { ...foreign, appId: "web" });
  await cluster.deploy(1, 1, { secrets: { TOKEN: { secret: "TOKEN", version: 1 } } });
  await until("its start has failed", async () => (await cluster.all("crash")).length === 1);
  expect(cluster.runtime().started).toEqual([]);
});

test("what an instance says of its secrets as it ends is masked", async () => {
  cluster.runtime().lastWords = [`refused: token=${CANARY}!`, "-----END KEY", "fine"];
  await cluster.deploy(1, 1, await putToken(1, CANARY));
  await until("it is ready", async () => (await ready()).length === 1);
  const [id = ""] = await ready();
  cluster.runtime().end(id, "exited");
  await until("its end is told", async () => (await cluster.all("crash")).length === 1);
  const [crash] = await cluster.all("crash");
  expect(crash?.logTail).toEqual(["refused: token=***!", "-----END KEY", "fine"]);
});

test("a mask covers each line of a value, and not what is too short to be told apart", () => {
  const mask = secretMask(["abc", "-----BEGIN-----\nMIIsecret\n-----END-----", "MII"]);
  expect(mask("abc MIIsecret and -----BEGIN----- MII")).toBe("abc *** and *** MII");
  expect(secretMask([])("same")).toBe("same");
});
