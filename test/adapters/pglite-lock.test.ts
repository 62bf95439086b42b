import { mkdtemp, readdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createPgliteStateStore } from "@dinp/core/pglite";
import { acquireFolderLock } from "../../src/adapters/pglite/folder-lock.js";
import { buildChild, TellingChild } from "./state-store-support/child.js";
import { PgliteBench } from "./state-store-support/pglite.js";

let child: Awaited<ReturnType<typeof buildChild>>;
let folder: string;

beforeAll(async () => {
  child = await buildChild("locking-child");
});

afterAll(() => rm(child.folder, { recursive: true, force: true }));

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "dinp-lock-")));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe.each(["linux", "darwin"] as const)("the lock of a data folder as on %s", (platform) => {
  it("is held by one, named in the refusal, and given back", async () => {
    const lock = await acquireFolderLock(folder, platform);
    await expect(acquireFolderLock(folder, platform)).rejects.toMatchObject({
      code: "DINP_LOCKED",
      details: { folder, pid: process.pid },
    });
    await lock.release();
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
    const again = await acquireFolderLock(folder, platform);
    await again.release();
  });

  it("of many who want it at the same time one gets it", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, () => acquireFolderLock(folder, platform)),
    );
    const locks = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    expect(locks).toHaveLength(1);
    await locks[0]?.release();
  });

  it("keeps another process out, and is free when its holder was killed", async () => {
    const holder = new TellingChild(child.file, [folder, platform]);
    await holder.hasTold(1);
    await expect(acquireFolderLock(folder, platform)).rejects.toMatchObject({
      code: "DINP_LOCKED",
      message: expect.stringContaining(folder),
      details: { folder, pid: holder.process.pid },
    });
    await holder.kill();
    const lock = await acquireFolderLock(folder, platform);
    await lock.release();
  });
});

describe("the lock file", () => {
  it("is taken over when another process has its holder's id now", async () => {
    const stale = { pid: process.pid, startedAt: "Thu Jan  1 00:00:00 1970" };
    await writeFile(join(folder, "dinp.lock"), JSON.stringify(stale));
    const lock = await acquireFolderLock(folder, "darwin");
    await lock.release();
  });

  it("is left alone when it cannot be read", async () => {
    await writeFile(join(folder, "dinp.lock"), "something else");
    await expect(acquireFolderLock(folder, "darwin")).rejects.toMatchObject({
      code: "DINP_LOCKED",
      hint: expect.stringContaining("Remove"),
    });
  });
});

describe("the store", () => {
  it("refuses a folder that this process has open, under any name of it, until it is closed", async () => {
    const bench = await PgliteBench.make();
    try {
      const dataDir = await bench.newFolder();
      const store = await bench.open(dataDir);
      const alias = join(folder, "alias");
      await symlink(dataDir, alias);
      const second = createPgliteStateStore({ dataDir: alias });
      await expect(second.open()).rejects.toMatchObject({ code: "DINP_LOCKED", retryable: false });
      await store.close();
      await second.open();
      await second.close();
    } finally {
      await bench.dispose();
    }
  });

  it("says what is wrong with a folder that it cannot make", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const store = createPgliteStateStore({ dataDir: join(file, "data") });
    await expect(store.open()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    await store.close();
  });
});
