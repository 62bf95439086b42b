import { randomInt } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from "vitest";
import type { StateStore } from "@dinp/core";
import { buildChild, TellingChild, toldValue } from "./state-store-support/child.js";
import { PgliteBench } from "./state-store-support/pglite.js";

const ROUNDS = 5;

/** Numbers in [0, 1) from a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function randomFromSeed(): () => number {
  const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
  onTestFailed(() => {
    process.stderr.write(`Repeat the moments of the kills with SEED=${String(seed)}\n`);
  });
  return seeded(seed);
}

/** What must be there: every acknowledged record, and no half of a commit. */
async function assertKept(store: StateStore, acknowledged: ReadonlyMap<string, number>): Promise<void> {
  const { revision, records } = await store.snapshot();
  const values = new Map(
    records.map((record) => [record.key, "value" in record.value ? record.value.value : null]),
  );
  const lost = [...acknowledged.keys()].filter((key) => values.get(key) !== key);
  expect(lost).toEqual([]);
  expect(revision).toBeGreaterThanOrEqual(Math.max(0, ...acknowledged.values()));
  for (const [key, value] of values) {
    if (key.startsWith("last-")) expect(values.has(String(value)), `${key} = ${String(value)}`).toBe(true);
  }
}

describe("pglite state store: kill -9", () => {
  let bench: PgliteBench;
  let child: Awaited<ReturnType<typeof buildChild>>;

  beforeAll(async () => {
    [bench, child] = await Promise.all([PgliteBench.make(), buildChild("committing-child")]);
  }, 120_000);

  afterAll(async () => {
    await bench.dispose();
    await rm(child.folder, { recursive: true, force: true });
  });

  it("loses nothing that it acknowledged, and frees the folder", async () => {
    const random = randomFromSeed();
    const folder = await bench.newFolder();
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const writer = new TellingChild(child.file, [folder, String(round)]);
      await writer.hasTold(2);
      await delay(random() * 400);
      await writer.kill();
      const heir = Number(toldValue(writer.told[0], "heir"));
      for (const message of writer.told.slice(1)) {
        acknowledged.set(String(toldValue(message, "key")), Number(toldValue(message, "revision")));
      }
      const store = await bench.open(folder);
      try {
        expect(() => process.kill(heir, 0)).not.toThrow();
        await assertKept(store, acknowledged);
      } finally {
        process.kill(heir, "SIGKILL");
        await store.close();
      }
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(ROUNDS);
  }, 600_000);

  it("can be opened when it died while the database was made", async () => {
    const random = randomFromSeed();
    const folder = await bench.newFolder();
    for (let isSeen = false; !isSeen;) {
      await rm(folder, { recursive: true });
      const maker = new TellingChild(child.file, [folder, "none"]);
      while (!isSeen && !maker.hasEnded && maker.told.length === 0) {
        await delay(5);
        isSeen = await hasFiles(`${folder}/pg.unfinished`);
      }
      expect(maker.hasEnded).toBe(false);
      await delay(random() * 300);
      await maker.kill();
      const heir = toldValue(maker.told[0], "heir");
      if (typeof heir === "number") process.kill(heir, "SIGKILL");
      // On a busy machine it may be through with it before this process looks: then another one is killed.
    }
    const store = await bench.open(folder);
    try {
      expect((await store.snapshot()).revision).toBe(0);
      await store.commit([{ op: "put", kind: "setting", value: { key: "k", value: "v" } }]);
      expect((await store.get("setting", "k"))?.revision).toBe(1);
      expect((await stat(folder)).mode & 0o077).toBe(0);
      expect(await readdir(folder)).toEqual(["pg"]);
    } finally {
      await store.close();
    }
  }, 600_000);
});

async function hasFiles(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length > 0;
  } catch {
    return false;
  }
}
