import assert from "node:assert/strict";
import type { StateStore, WatchEvent } from "../ports/state-store.js";
import { collect, Reader, rejectsAsMisuse, within } from "./conformance.js";
import { padded, putApp, putSetting, sampleApp, sampleSetting } from "./sample-records.js";
import { newLeaseName, presentRevision, storeCase, type StoreCase } from "./state-store-harness.js";

interface Watched {
  readonly reader: Reader<WatchEvent>;
  readonly stop: () => void;
}

function watch(store: StateStore, after: number): Watched {
  const controller = new AbortController();
  return {
    reader: new Reader(store.watch({ after, signal: controller.signal })),
    stop: () => {
      controller.abort();
    },
  };
}

function revisionOf(event: WatchEvent): number {
  return event.type === "commit" ? event.revision : -1;
}

async function commitMany(store: StateStore, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await store.commit([putSetting("many", String(index))]);
}

export const watchCases: readonly StoreCase[] = [
  storeCase("watch yields later commits as they come, each as a whole", async ({ store }) => {
    const after = await presentRevision(store);
    const { reader, stop } = watch(store, after);
    const first = reader.next();
    await store.commit([putSetting("a", "1"), putApp(sampleApp("x"))]);
    assert.deepEqual(await first, {
      type: "commit",
      revision: after + 1,
      changes: [
        { kind: "setting", key: "a", value: sampleSetting("a", "1") },
        { kind: "app", key: "x", value: sampleApp("x") },
      ],
    });
    await store.commit([{ op: "delete", kind: "setting", key: "a" }, putSetting("b")]);
    assert.deepEqual(await reader.next(), {
      type: "commit",
      revision: after + 2,
      changes: [
        { kind: "setting", key: "a", value: null },
        { kind: "setting", key: "b", value: sampleSetting("b") },
      ],
    });
    stop();
    await reader.expectEnd();
  }),

  storeCase("watch yields earlier commits first, with the values that they wrote", async ({ store }) => {
    const after = await presentRevision(store);
    for (const value of ["1", "2", "3"]) await store.commit([putSetting("k", value)]);
    const { reader, stop } = watch(store, after + 1);
    for (const [index, value] of ["2", "3"].entries()) {
      assert.deepEqual(await reader.next(), {
        type: "commit",
        revision: after + 2 + index,
        changes: [{ kind: "setting", key: "k", value: sampleSetting("k", value) }],
      });
    }
    stop();
  }),

  storeCase("no commit is lost or out of order while many are made and read", async ({ store }) => {
    const count = 30;
    const after = await presentRevision(store);
    const watches = [watch(store, after), watch(store, after), watch(store, after)];
    const reads = watches.map(({ reader }) => reader.take(count));
    await Promise.all(Array.from({ length: count }, (_, index) => store.commit([putSetting(padded(index))])));
    for (const events of await Promise.all(reads)) {
      assert.deepEqual(
        events.map(revisionOf),
        Array.from({ length: count }, (_, index) => after + 1 + index),
      );
      const keys = events.flatMap((event) =>
        event.type === "commit" ? event.changes.map(({ key }) => key) : [],
      );
      assert.equal(new Set(keys).size, count);
    }
    for (const { stop } of watches) stop();
  }),

  storeCase("a snapshot and a watch from its revision tell everything", async ({ store }) => {
    const commits = (async () => {
      for (let index = 0; index < 30; index += 1) {
        const key = `k${String(index % 7)}`;
        if (index % 5 === 4) await store.commit([{ op: "delete", kind: "setting", key }]);
        else await store.commit([putSetting(key, String(index))]);
      }
    })();
    await store.commit([putSetting("middle")]);
    const { revision, records } = await store.snapshot();
    const picture = new Map(records.map(({ key, value }) => [key, JSON.stringify(value)]));
    const { reader, stop } = watch(store, revision);
    await commits;
    const last = await store.snapshot();
    for (let at = revision; at < last.revision;) {
      const event = await reader.next();
      assert.ok(event.type === "commit");
      at = event.revision;
      for (const { key, value } of event.changes) {
        if (value === null) picture.delete(key);
        else picture.set(key, JSON.stringify(value));
      }
    }
    stop();
    assert.deepEqual(
      [...picture].sort(),
      last.records.map(({ key, value }) => [key, JSON.stringify(value)]).sort(),
    );
  }),

  storeCase("a watch of some kinds has only their changes", async ({ store }) => {
    const after = await presentRevision(store);
    await store.commit([putSetting("a"), putApp(sampleApp("x"))]);
    await store.commit([putSetting("b")]);
    await store.commit([putApp(sampleApp("y"))]);
    const controller = new AbortController();
    const seen: string[] = [];
    for await (const event of store.watch({ after, kinds: ["app"], signal: controller.signal })) {
      assert.ok(event.type === "commit");
      seen.push(...event.changes.map(({ kind, key }) => `${kind} ${key}`));
      if (event.revision === after + 3) controller.abort();
    }
    assert.deepEqual(seen, ["app x", "app y"]);
  }),

  storeCase("checks, deletes of nothing and leases make no event", async ({ store }) => {
    const after = await presentRevision(store);
    const { reader, stop } = watch(store, after);
    const next = reader.next();
    await store.commit([{ op: "check", kind: "setting", key: "k", ifRevision: "absent" }]);
    await store.commit([{ op: "delete", kind: "setting", key: "k" }]);
    const lease = await store.tryAcquireLease({ name: newLeaseName(), holder: "h", ttlMs: 1_000 });
    assert.ok(lease);
    await store.releaseLease(lease);
    await store.commit([putSetting("k"), { op: "delete", kind: "setting", key: "absent" }]);
    assert.deepEqual(await next, {
      type: "commit",
      revision: after + 1,
      changes: [{ kind: "setting", key: "k", value: sampleSetting("k") }],
    });
    stop();
  }),

  storeCase("a watch ends without an error when its signal aborts", async ({ store }) => {
    const signal = AbortSignal.abort();
    assert.deepEqual(await within(collect(store.watch({ after: 0, signal })), "the end"), []);
    const { reader, stop } = watch(store, await presentRevision(store));
    const end = reader.expectEnd();
    await store.snapshot();
    stop();
    await end;
  }),

  storeCase(
    "a watch from a revision that the store has not reached gets a reset and ends",
    async ({ store }) => {
      const { reader } = watch(store, (await presentRevision(store)) + 1);
      assert.deepEqual(await reader.next(), { type: "reset" });
      await reader.expectEnd();
    },
  ),

  storeCase("a watch from behind the end of the change log gets a reset and ends", async (harness) => {
    const { store, commitsToReset } = harness;
    const after = await presentRevision(store);
    await commitMany(store, commitsToReset);
    const { reader } = watch(store, after);
    assert.deepEqual(await reader.next(), { type: "reset" });
    await reader.expectEnd();
    const near = watch(store, after + commitsToReset - 1);
    assert.equal(revisionOf(await near.reader.next()), after + commitsToReset);
    near.stop();
  }),

  storeCase(
    "a slow watch that falls behind the log gets a reset, and nothing is left out before",
    async (harness) => {
      const { store, commitsToReset } = harness;
      const after = await presentRevision(store);
      const { reader } = watch(store, after);
      await store.commit([putSetting("first")]);
      assert.equal(revisionOf(await reader.next()), after + 1);
      await commitMany(store, commitsToReset + 1);
      for (let last = after + 1; ;) {
        const event = await reader.next();
        if (event.type === "reset") break;
        assert.equal(event.revision, last + 1);
        last = event.revision;
        assert.ok(last < after + commitsToReset, "The log does not reach back so far.");
      }
      await reader.expectEnd();
    },
  ),

  storeCase("a revision that is none is misuse", async ({ store }) => {
    for (const after of [-1, 0.5, Number.NaN]) {
      const { signal } = new AbortController();
      await rejectsAsMisuse(() => collect(store.watch({ after, signal })));
    }
  }),
];
