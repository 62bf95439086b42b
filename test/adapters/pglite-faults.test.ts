import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StateStore, Write } from "@dinp/core";
import { createPgliteStateStore } from "@dinp/core/pglite";
import { openPglite } from "../../src/adapters/pglite/driver.js";
import { PgliteDatabase } from "../../src/adapters/pglite/pglite-database.js";
import { rawSql } from "../../src/adapters/sql/index.js";
import { PgliteBench } from "./state-store-support/pglite.js";

let bench: PgliteBench;

beforeAll(async () => {
  bench = await PgliteBench.make();
});

afterAll(() => bench.dispose());

const placement: Write = {
  op: "put",
  kind: "placement",
  value: {
    instanceId: "i1",
    appId: "a1",
    releaseId: "r1",
    nodeId: "n1",
    desired: "running",
    reason: "",
    createdAt: 1,
    changedAt: 1,
  },
};
const token: Write = {
  op: "put",
  kind: "token",
  value: { id: "t1", hash: "h1", subject: "s", role: "admin", createdAt: 1 },
};

/** A store with two records, closed again, and what happens to its tables behind its back. */
async function damaged(...statements: readonly string[]): Promise<string> {
  const folder = await bench.newFolder();
  const store = await bench.open(folder);
  await store.commit([placement, token]);
  await store.close();
  const database = await rawDatabase(folder);
  for (const statement of statements) await database.run(rawSql(statement));
  await database.close();
  return folder;
}

async function rawDatabase(folder: string): Promise<PgliteDatabase> {
  return new PgliteDatabase({
    ...(await openPglite(folder, "process-crash")),
    clock: { sleep: (ms) => delay(ms) },
    onClosed: () => Promise.resolve(),
  });
}

async function withStore(folder: string, body: (store: StateStore) => Promise<void>): Promise<void> {
  const store = await bench.open(folder);
  try {
    await body(store);
  } finally {
    await store.close();
  }
}

async function assertWhole(store: StateStore): Promise<void> {
  expect((await store.snapshot()).records.map(({ key }) => key)).toEqual(["i1", "t1"]);
  expect((await store.getUnique("token", "hash", "h1"))?.key).toBe("t1");
  const keys: string[] = [];
  for await (const { key } of store.list("placement", { index: { name: "node", value: "n1" } }))
    keys.push(key);
  expect(keys).toEqual(["i1"]);
}

describe("a pglite state store that was tampered with", () => {
  it("refuses a snapshot that lacks a record", async () => {
    const folder = await damaged("DELETE FROM dinp_records WHERE kind = 'token'");
    await withStore(folder, async (store) => {
      await expect(store.snapshot()).rejects.toMatchObject({ code: "DINP_CORRUPT" });
      await expect(store.snapshot({ kinds: ["token"] })).rejects.toMatchObject({ code: "DINP_CORRUPT" });
      expect((await store.snapshot({ kinds: ["placement"] })).records).toHaveLength(1);
    });
  });

  it("refuses a record that is another one's or no JSON object", async () => {
    const folder = await damaged(`UPDATE dinp_records SET value = '{"id":"t2"}' WHERE kind = 'token'`);
    await withStore(folder, async (store) => {
      await expect(store.get("token", "t1")).rejects.toMatchObject({ code: "DINP_CORRUPT" });
      await expect(store.snapshot()).rejects.toMatchObject({ code: "DINP_CORRUPT" });
    });
  });

  it("repeats a migration that was interrupted, and indexes anew what this program indexes in another way", async () => {
    const folder = await damaged(
      "UPDATE dinp_schema SET version = 0 WHERE name = 'tables'",
      "DELETE FROM dinp_unique_values",
      "DELETE FROM dinp_index_values",
      "UPDATE dinp_schema SET detail = 'older' WHERE name = 'kind token'",
      "DELETE FROM dinp_schema WHERE name = 'kind placement'",
    );
    await withStore(folder, assertWhole);
    await withStore(folder, assertWhole);
  });

  it("is not opened when a newer program wrote it", async () => {
    const folder = await damaged("UPDATE dinp_schema SET version = 99 WHERE name = 'tables'");
    const store = createPgliteStateStore({ dataDir: folder });
    await expect(store.open()).rejects.toMatchObject({ code: "DINP_INVALID" });
    await store.close();
  });
});

describe("a pglite database that breaks down", () => {
  it("gives an error and no empty result when a statement overflows the stack, and keeps what it had", async () => {
    const folder = await damaged();
    const database = await rawDatabase(folder);
    const rows = Array.from({ length: 5_000 }, (_, index) => `('token', 't${String(index)}')`).join(", ");
    const statement = rawSql(`SELECT 1 FROM dinp_records WHERE (kind, record_key) IN (${rows})`);
    const code = "DINP_UNAVAILABLE";
    await expect(database.run(statement)).rejects.toMatchObject({ code });
    await expect(database.run(rawSql("SELECT 1 AS one"))).rejects.toMatchObject({ code });
    await database.close().catch(() => undefined);
    await withStore(folder, assertWhole);
  });

  it("acknowledges a commit only when the disk has it", async () => {
    const folder = await damaged();
    const { fsyncSync } = fs;
    let syncs = 0;
    let isDiskBroken = false;
    fs.fsyncSync = (descriptor) => {
      syncs += 1;
      if (isDiskBroken) throw Object.assign(new Error("i/o error"), { code: "EIO" });
      fsyncSync(descriptor);
    };
    syncBuiltinESMExports();
    try {
      const store = createPgliteStateStore({ dataDir: folder });
      await store.open();
      const before = syncs;
      await store.commit([{ op: "put", kind: "setting", value: { key: "kept", value: "" } }]);
      expect(syncs).toBeGreaterThan(before);
      isDiskBroken = true;
      const put: Write = { op: "put", kind: "setting", value: { key: "doubtful", value: "" } };
      await expect(store.commit([put])).rejects.toMatchObject({ code: "DINP_COMMIT_UNKNOWN" });
      await expect(store.snapshot()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
      await store.close().catch(() => undefined);
    } finally {
      fs.fsyncSync = fsyncSync;
      syncBuiltinESMExports();
    }
    await withStore(folder, async (store) => {
      expect(await store.get("setting", "kept")).not.toBeNull();
    });
  });
});
