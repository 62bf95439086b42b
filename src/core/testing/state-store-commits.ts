import assert from "node:assert/strict";
import type { JsonValue } from "../model/errors.js";
import type { IdempotencyRecord } from "../model/records.js";
import type { StateStore, Write } from "../ports/state-store.js";
import { rejectsAsMisuse, rejectsWith } from "./conformance.js";
import { padded, putApp, putSetting, sampleApp, sampleSetting } from "./sample-records.js";
import { presentRevision, storeCase, type StoreCase } from "./state-store-harness.js";

const CHECK_ABSENT: Write = { op: "check", kind: "setting", key: "k", ifRevision: "absent" };

async function valueOf(store: StateStore, key: string): Promise<string | null> {
  return (await store.get("setting", key))?.value.value ?? null;
}

async function conflictOn(store: StateStore, writes: readonly Write[]): Promise<unknown> {
  return (await rejectsWith("DINP_CONFLICT", () => store.commit(writes))).details;
}

function answered(key: string, response: JsonValue): Write {
  const value: IdempotencyRecord = { key, requestHash: "hash", response, createdAt: 1 };
  return { op: "put", kind: "idempotency", value };
}

export const commitCases: readonly StoreCase[] = [
  storeCase("each commit that changes something takes the next revision", async ({ store }) => {
    const start = await presentRevision(store);
    for (let step = 1; step <= 3; step += 1) {
      const { revision } = await store.commit([
        putSetting("k", String(step)),
        putSetting(`k${String(step)}`),
      ]);
      assert.equal(revision, start + step);
      assert.equal(await presentRevision(store), revision);
      assert.equal((await store.get("setting", "k"))?.revision, revision);
      assert.equal((await store.get("setting", `k${String(step)}`))?.revision, revision);
    }
  }),

  storeCase("a commit that changes nothing returns the present revision", async ({ store }) => {
    const { revision } = await store.commit([putSetting("there")]);
    const nothing: readonly Write[] = [
      CHECK_ABSENT,
      { op: "check", kind: "setting", key: "there", ifRevision: revision },
      { op: "delete", kind: "setting", key: "absent" },
    ];
    assert.deepEqual(await store.commit(nothing), { revision });
    assert.equal(await presentRevision(store), revision);
    assert.equal(await valueOf(store, "there"), "value");
  }),

  storeCase("a write without ifRevision is unconditional", async ({ store }) => {
    await store.commit([putSetting("k", "1")]);
    await store.commit([putSetting("k", "2")]);
    assert.equal(await valueOf(store, "k"), "2");
    await store.commit([{ op: "delete", kind: "setting", key: "k" }]);
    assert.equal(await store.get("setting", "k"), null);
    await store.commit([putSetting("k", "3")]);
    assert.equal(await valueOf(store, "k"), "3");
  }),

  storeCase("a put or check that wants no record refuses one", async ({ store }) => {
    const { revision } = await store.commit([putSetting("k", "1", "absent"), putSetting("other")]);
    const details = { kind: "setting", key: "k", revision };
    assert.deepEqual(await conflictOn(store, [putSetting("k", "2", "absent")]), details);
    assert.deepEqual(await conflictOn(store, [CHECK_ABSENT, putSetting("third")]), details);
    assert.equal(await valueOf(store, "k"), "1");
  }),

  storeCase("a put, delete or check that wants a revision refuses another one", async ({ store }) => {
    const { revision: first } = await store.commit([putSetting("k", "1")]);
    const { revision: second } = await store.commit([putSetting("k", "2", first)]);
    const details = { kind: "setting", key: "k", revision: second };
    assert.deepEqual(await conflictOn(store, [putSetting("k", "3", first)]), details);
    const del = { op: "delete", kind: "setting", key: "k", ifRevision: first } as const;
    assert.deepEqual(await conflictOn(store, [del]), details);
    const check = { op: "check", kind: "setting", key: "k", ifRevision: first } as const;
    assert.deepEqual(await conflictOn(store, [check]), details);
    assert.equal(await valueOf(store, "k"), "2");
    await store.commit([{ ...del, ifRevision: second }]);
    assert.equal(await store.get("setting", "k"), null);
    assert.deepEqual(await conflictOn(store, [{ ...del, ifRevision: second }]), { ...details, revision: 0 });
    assert.deepEqual(await conflictOn(store, [putSetting("k", "4", second)]), { ...details, revision: 0 });
  }),

  storeCase("a commit is applied as a whole or not at all", async ({ store }) => {
    await store.commit([putSetting("old"), putSetting("guard")]);
    const before = await store.snapshot();
    const refused: readonly Write[] = [
      putSetting("new"),
      putSetting("old", "changed"),
      { op: "delete", kind: "setting", key: "guard" },
      putSetting("last", "x", before.revision + 7),
    ];
    await conflictOn(store, refused);
    await conflictOn(store, [...refused].reverse());
    assert.deepEqual(await store.snapshot(), before);
  }),

  storeCase(
    "of writers that compare and set at the same time, each round has one winner",
    async ({ store }) => {
      await store.commit([putSetting("counter", "0")]);
      const add = async (): Promise<void> => {
        for (;;) {
          const counter = await store.get("setting", "counter");
          assert.ok(counter);
          const next = String(Number(counter.value.value) + 1);
          try {
            await store.commit([putSetting("counter", next, counter.revision)]);
            return;
          } catch (error) {
            if (!(error instanceof Error && "code" in error && error.code === "DINP_CONFLICT")) throw error;
          }
        }
      };
      await Promise.all(Array.from({ length: 12 }, add));
      assert.equal(await valueOf(store, "counter"), "12");
    },
  ),

  storeCase("commits at the same time take revisions without holes or doubles", async ({ store }) => {
    const start = await presentRevision(store);
    const commits = Array.from({ length: 40 }, (_, index) => store.commit([putSetting(padded(index))]));
    const revisions = (await Promise.all(commits)).map(({ revision }) => revision);
    assert.deepEqual(
      revisions.sort((left, right) => left - right),
      Array.from({ length: 40 }, (_, index) => start + 1 + index),
    );
  }),

  storeCase("a commit may write thousands of records", async ({ store }) => {
    const puts = Array.from({ length: 3_000 }, (_, index) => putApp(sampleApp(padded(index))));
    const { revision } = await store.commit(puts);
    const { records } = await store.snapshot();
    assert.equal(records.length, puts.length);
    assert.ok(records.every((record) => record.revision === revision));
    await store.commit([
      ...puts.slice(0, 1_500).map(({ value }) => putApp({ ...value, name: `${value.id}-2` }, revision)),
      ...puts.slice(1_500).map(({ value }) => ({ op: "delete", kind: "app", key: value.id }) as const),
    ]);
    assert.equal((await store.snapshot()).records.length, 1_500);
    assert.equal((await store.getUnique("app", "name", "001499-2"))?.key, "001499");
    assert.equal(await store.getUnique("app", "name", "001499"), null);
  }),

  storeCase("records come back as JSON carries them", async ({ store }) => {
    const response: JsonValue = {
      text: 'é 😀 \u0000 \ud800 \u2028 " \\ </script>',
      numbers: [0, -1, 1.5, 1e21, Number.MAX_SAFE_INTEGER, 5e-324],
      nothing: null,
      yes: true,
      "": { deep: [[[[[]]]]] },
      ["__proto__"]: { polluted: true },
      constructor: "own",
    };
    await store.commit([answered("k", response)]);
    const stored = (await store.get("idempotency", "k"))?.value.response;
    assert.deepEqual(JSON.parse(JSON.stringify(stored)), JSON.parse(JSON.stringify(response)));
    assert.equal(Reflect.get({}, "polluted"), undefined);
  }),

  storeCase("a commit without writes, or with two writes to one key, is misuse", async ({ store }) => {
    const before = await presentRevision(store);
    await rejectsAsMisuse(() => store.commit([]));
    await rejectsAsMisuse(() => store.commit([putSetting("k"), putSetting("k", "2")]));
    await rejectsAsMisuse(() => store.commit([putSetting("k"), { op: "delete", kind: "setting", key: "k" }]));
    await rejectsAsMisuse(() => store.commit([CHECK_ABSENT, putSetting("k")]));
    assert.equal(await presentRevision(store), before);
    await store.commit([putSetting("k"), { op: "delete", kind: "app", key: "k" }]);
  }),

  storeCase("an illegal key is misuse, and a legal one is taken", async ({ store }) => {
    for (const key of ["", "é", "a\nb", "\u0000", "x".repeat(256)]) {
      await rejectsAsMisuse(() => store.commit([putSetting(key)]));
      await rejectsAsMisuse(() => store.commit([{ op: "delete", kind: "setting", key }]));
      await rejectsAsMisuse(() => store.commit([{ ...CHECK_ABSENT, key }]));
    }
    for (const key of ["x".repeat(255), " ", "a'; DROP TABLE x; --", "%_\\", "$1 ?"]) {
      await store.commit([putSetting(key)]);
      assert.deepEqual((await store.get("setting", key))?.value, sampleSetting(key));
    }
  }),

  storeCase("a value that JSON does not carry is misuse", async ({ store }) => {
    for (const instances of [Number.NaN, Infinity]) {
      await rejectsAsMisuse(() => store.commit([putApp(sampleApp("a", { instances }))]));
    }
    let deep: JsonValue = null;
    for (let depth = 0; depth < 5_000; depth += 1) deep = [deep];
    await rejectsAsMisuse(() => store.commit([answered("k", deep)]));
    assert.equal((await store.snapshot()).records.length, 0);
  }),
];
