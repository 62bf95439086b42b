import assert from "node:assert/strict";
import type { StateStore } from "../ports/state-store.js";
import { rejectsWith } from "./conformance.js";
import { putApp, sampleApp, sampleToken } from "./sample-records.js";
import { storeCase, type StoreCase } from "./state-store-harness.js";

async function ownerOf(store: StateStore, name: string): Promise<string | null> {
  return (await store.getUnique("app", "name", name))?.key ?? null;
}

const shop = { name: "shop" } as const;

export const uniqueCases: readonly StoreCase[] = [
  storeCase("no two records have one unique value", async ({ store }) => {
    await store.commit([putApp(sampleApp("a1", shop))]);
    const before = await store.snapshot();
    const error = await rejectsWith("DINP_NOT_UNIQUE", () =>
      store.commit([putApp(sampleApp("a3")), putApp(sampleApp("a2", shop))]),
    );
    assert.deepEqual(error.details, { kind: "app", unique: "name", value: "shop" });
    await rejectsWith("DINP_NOT_UNIQUE", () =>
      store.commit([putApp(sampleApp("a4", { name: "n" })), putApp(sampleApp("a5", { name: "n" }))]),
    );
    assert.deepEqual(await store.snapshot(), before);
  }),

  storeCase("a record keeps its own unique value when it is written again", async ({ store }) => {
    await store.commit([putApp(sampleApp("a1", shop))]);
    await store.commit([putApp(sampleApp("a1", { ...shop, instances: 5 }))]);
    assert.equal((await store.getUnique("app", "name", "shop"))?.value.instances, 5);
  }),

  storeCase("a unique value is free again after a rename, a tombstone or a delete", async ({ store }) => {
    await store.commit([putApp(sampleApp("a1", shop))]);
    await store.commit([putApp(sampleApp("a1", { name: "renamed" }))]);
    await store.commit([putApp(sampleApp("a2", shop))]);
    await store.commit([putApp(sampleApp("a2", { ...shop, deletedAt: 5 }))]);
    assert.equal(await ownerOf(store, "shop"), null);
    await store.commit([putApp(sampleApp("a3", shop))]);
    await store.commit([{ op: "delete", kind: "app", key: "a3" }]);
    await store.commit([putApp(sampleApp("a4", shop))]);
    assert.equal(await ownerOf(store, "shop"), "a4");
  }),

  storeCase("unique values can change hands within one commit", async ({ store }) => {
    await store.commit([putApp(sampleApp("a1", { name: "x" })), putApp(sampleApp("a2", { name: "y" }))]);
    await store.commit([putApp(sampleApp("a1", { name: "y" })), putApp(sampleApp("a2", { name: "x" }))]);
    assert.deepEqual([await ownerOf(store, "x"), await ownerOf(store, "y")], ["a2", "a1"]);
    await store.commit([putApp(sampleApp("a3", { name: "x" })), { op: "delete", kind: "app", key: "a2" }]);
    assert.equal(await ownerOf(store, "x"), "a3");
  }),

  storeCase("a unique value belongs to its kind and name alone", async ({ store }) => {
    await store.commit([
      putApp(sampleApp("a1", shop)),
      { op: "put", kind: "token", value: sampleToken("t1", "shop") },
    ]);
    assert.equal(await ownerOf(store, "shop"), "a1");
    assert.equal((await store.getUnique("token", "hash", "shop"))?.key, "t1");
  }),

  storeCase("of commits that take one unique value at the same time, one wins", async ({ store }) => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => store.commit([putApp(sampleApp(`a${String(index)}`, shop))])),
    );
    const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
    assert.equal(winners.length, 1);
    assert.equal(await ownerOf(store, "shop"), `a${String(winners[0])}`);
    assert.equal((await store.snapshot({ kinds: ["app"] })).records.length, 1);
  }),
];
