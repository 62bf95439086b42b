import assert from "node:assert/strict";
import { kinds } from "../model/kinds.js";
import type { StateStore } from "../ports/state-store.js";
import { collect, later, rejectsAsMisuse, vandalize } from "./conformance.js";
import {
  padded,
  putApp,
  putPlacement,
  putSetting,
  sampleApp,
  samplePlacement,
  sampleSetting,
} from "./sample-records.js";
import { storeCase, type StoreCase, StoreWatch } from "./state-store-harness.js";

type ListArguments = Parameters<StateStore["list"]>;

async function keysOf(store: StateStore, ...parameters: ListArguments): Promise<readonly string[]> {
  return (await collect(store.list(...parameters))).map(({ key }) => key);
}

async function fillPlacements(store: StateStore): Promise<void> {
  await store.commit([
    putPlacement(samplePlacement("i1", "a1", "n1")),
    putPlacement(samplePlacement("i2", "a2", "n1")),
    putPlacement(samplePlacement("i3", "a1", "n2")),
    putPlacement(samplePlacement("i4", "a1", "n1")),
    putPlacement(samplePlacement("i5", "a10", "n1")),
  ]);
}

export const readCases: readonly StoreCase[] = [
  storeCase("get returns the record with the revision of its commit, or null", async ({ store }) => {
    assert.equal(await store.get("setting", "k"), null);
    assert.equal(await store.get("setting", "never\u0000legal"), null);
    const { revision } = await store.commit([putSetting("k", "v")]);
    assert.deepEqual(await store.get("setting", "k"), {
      kind: "setting",
      key: "k",
      value: sampleSetting("k", "v"),
      revision,
    });
    assert.equal(await store.get("router", "k"), null);
    await store.commit([putSetting("other")]);
    assert.equal((await store.get("setting", "k"))?.revision, revision);
  }),

  storeCase("getUnique finds the record that has the value now", async ({ store }) => {
    await store.commit([
      putApp(sampleApp("a1", { name: "shop" })),
      putApp(sampleApp("a2", { name: "blog" })),
    ]);
    assert.equal((await store.getUnique("app", "name", "shop"))?.key, "a1");
    assert.equal(await store.getUnique("app", "name", "none"), null);
    assert.equal(await store.getUnique("app", "name", "\u0000"), null);
    await store.commit([putApp(sampleApp("a1", { name: "store" }))]);
    assert.equal(await store.getUnique("app", "name", "shop"), null);
    assert.equal((await store.getUnique("app", "name", "store"))?.key, "a1");
    await rejectsAsMisuse(() => store.getUnique("app", "nothing", "x"));
  }),

  storeCase("snapshot has every record, in key order within a kind", async ({ store }) => {
    await store.commit([putSetting("b"), putSetting("a"), putApp(sampleApp("z"))]);
    const { revision } = await store.commit([putSetting("c"), { op: "delete", kind: "setting", key: "a" }]);
    const snapshot = await store.snapshot();
    assert.equal(snapshot.revision, revision);
    assert.deepEqual(snapshot.records.map(({ kind, key }) => `${kind} ${key}`).sort(), [
      "app z",
      "setting b",
      "setting c",
    ]);
    const settings = snapshot.records.filter(({ kind }) => kind === "setting");
    assert.deepEqual(
      settings.map(({ key }) => key),
      ["b", "c"],
    );
    assert.deepEqual(settings[1], await store.get("setting", "c"));
  }),

  storeCase("snapshot has only the asked kinds", async ({ store }) => {
    await store.commit([
      putSetting("s"),
      putApp(sampleApp("a")),
      putPlacement(samplePlacement("i", "a", "n")),
    ]);
    const some = await store.snapshot({ kinds: ["app", "placement", "app"] });
    assert.deepEqual(some.records.map(({ key }) => key).sort(), ["a", "i"]);
    assert.deepEqual((await store.snapshot({ kinds: [] })).records, []);
    assert.equal((await store.snapshot({ kinds })).records.length, 3);
  }),

  storeCase("snapshot is of one revision while commits go on", async ({ store }) => {
    const writer = async (): Promise<void> => {
      for (let round = 1; round <= 30; round += 1) {
        await store.commit([putSetting("left", String(round)), putSetting("right", String(round))]);
      }
    };
    const written = later(writer());
    for (let round = 0; round < 30; round += 1) {
      const { revision, records } = await store.snapshot({ kinds: ["setting"] });
      const [left, right] = records;
      assert.equal(left?.revision, right?.revision);
      assert.deepEqual(Object.values(left?.value ?? {}).at(-1), Object.values(right?.value ?? {}).at(-1));
      assert.ok((left?.revision ?? 0) <= revision);
    }
    await written;
  }),

  storeCase("list goes in the order of bytes, from either end", async ({ store }) => {
    const keys = [" ", "A", "B", "a", "a-b", "a.b", "aB", "aa", "b", "~"];
    await store.commit([...keys].reverse().map((key) => putSetting(key)));
    assert.deepEqual(await keysOf(store, "setting"), keys);
    assert.deepEqual(await keysOf(store, "setting", { reverse: true }), [...keys].reverse());
    assert.deepEqual(await keysOf(store, "app"), []);
  }),

  storeCase("list begins behind `after` and ends at `limit`", async ({ store }) => {
    await store.commit(["a", "b", "c", "d", "e"].map((key) => putSetting(key)));
    assert.deepEqual(await keysOf(store, "setting", { after: "b" }), ["c", "d", "e"]);
    assert.deepEqual(await keysOf(store, "setting", { after: "bb", limit: 2 }), ["c", "d"]);
    assert.deepEqual(await keysOf(store, "setting", { after: "d", reverse: true }), ["c", "b", "a"]);
    assert.deepEqual(await keysOf(store, "setting", { after: "d", reverse: true, limit: 1 }), ["c"]);
    assert.deepEqual(await keysOf(store, "setting", { after: "e" }), []);
    assert.deepEqual(await keysOf(store, "setting", { limit: 0 }), []);
    assert.deepEqual(await keysOf(store, "setting", { limit: 2 }), ["a", "b"]);
    assert.deepEqual(await keysOf(store, "setting", { limit: 99 }), ["a", "b", "c", "d", "e"]);
    await rejectsAsMisuse(() => keysOf(store, "setting", { limit: -1 }));
  }),

  storeCase("list selects by an index, whole values only", async ({ store }) => {
    await fillPlacements(store);
    const ofA1 = { index: { name: "app", value: "a1" } };
    assert.deepEqual(await keysOf(store, "placement", ofA1), ["i1", "i3", "i4"]);
    assert.deepEqual(await keysOf(store, "placement", { ...ofA1, reverse: true, limit: 2 }), ["i4", "i3"]);
    assert.deepEqual(await keysOf(store, "placement", { ...ofA1, after: "i1", limit: 1 }), ["i3"]);
    assert.deepEqual(await keysOf(store, "placement", { ...ofA1, after: "i4", reverse: true }), ["i3", "i1"]);
    assert.deepEqual(await keysOf(store, "placement", { index: { name: "node", value: "n2" } }), ["i3"]);
    assert.deepEqual(await keysOf(store, "placement", { index: { name: "app", value: "none" } }), []);
    assert.deepEqual(await keysOf(store, "placement", { index: { name: "app", value: "\u0000" } }), []);
    await rejectsAsMisuse(() => keysOf(store, "placement", { index: { name: "nothing", value: "a1" } }));
  }),

  storeCase("an index follows its records", async ({ store }) => {
    await fillPlacements(store);
    await store.commit([
      putPlacement(samplePlacement("i1", "a2", "n1")),
      { op: "delete", kind: "placement", key: "i3" },
    ]);
    assert.deepEqual(await keysOf(store, "placement", { index: { name: "app", value: "a1" } }), ["i4"]);
    assert.deepEqual(await keysOf(store, "placement", { index: { name: "app", value: "a2" } }), ["i1", "i2"]);
    assert.deepEqual(await keysOf(store, "placement", { index: { name: "node", value: "n2" } }), []);
    const [moved] = await collect(store.list("placement", { index: { name: "app", value: "a2" }, limit: 1 }));
    assert.deepEqual(moved, await store.get("placement", "i1"));
  }),

  storeCase("a list of many pages is whole, and survives changes while it is read", async ({ store }) => {
    const keys = Array.from({ length: 1_203 }, (_, index) => padded(index));
    await store.commit(keys.map((key) => putPlacement(samplePlacement(key, "a", `n${key.slice(-1)}`))));
    assert.deepEqual(await keysOf(store, "placement"), keys);
    assert.deepEqual(
      await keysOf(store, "placement", { index: { name: "app", value: "a" }, reverse: true }),
      [...keys].reverse(),
    );
    const seen: string[] = [];
    for await (const { key } of store.list("placement")) {
      seen.push(key);
      if (seen.length % 400 !== 0) continue;
      await store.commit([
        { op: "delete", kind: "placement", key: padded(seen.length - 10) },
        putPlacement(samplePlacement(`${padded(seen.length - 20)}-new`, "a", "n")),
      ]);
    }
    assert.deepEqual(seen, keys);
  }),

  storeCase("changing what went in or came out changes nothing in the store", async ({ store }) => {
    const app = sampleApp("a");
    const input = { ...app };
    const commit = store.commit([putApp(input)]);
    vandalize(input);
    const { revision } = await commit;
    const expected = { kind: "app", key: "a", value: app, revision };
    vandalize(await store.get("app", "a"));
    vandalize(await store.getUnique("app", "name", "a"));
    vandalize(await store.snapshot());
    vandalize(await collect(store.list("app")));
    const [first, second] = [new StoreWatch(store, revision - 1), new StoreWatch(store, revision - 1)];
    vandalize(await first.next());
    first.stop();
    assert.deepEqual(await store.get("app", "a"), expected);
    assert.deepEqual((await store.snapshot({ kinds: ["app"] })).records, [expected]);
    const changes = [{ kind: "app", key: "a", value: app }];
    assert.deepEqual(await second.next(), { type: "commit", revision, changes });
    second.stop();
  }),
];
