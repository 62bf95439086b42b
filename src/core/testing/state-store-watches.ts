import assert from "node:assert/strict";
import type { StateStore } from "../ports/state-store.js";
import { collect, later, Reader, rejectsAsMisuse, within } from "./conformance.js";
import { padded, putApp, putSetting, sampleApp, sampleSetting } from "./sample-records.js";
import {
  newLeaseName,
  presentRevision,
  storeCase,
  type StoreCase,
  StoreWatch,
} from "./state-store-harness.js";

async function commitMany(store: StateStore, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await store.commit([putSetting("many", String(index))]);
}

export const watchCases: readonly StoreCase[] = [
  storeCase("watch yields later commits as they come, each as a whole", async ({ store }) => {
    const after = await presentRevision(store);
    const watch = new StoreWatch(store, after);
    const first = later(watch.next());
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
    assert.deepEqual(await watch.next(), {
      type: "commit",
      revision: after + 2,
      changes: [
        { kind: "setting", key: "a", value: null },
        { kind: "setting", key: "b", value: sampleSetting("b") },
      ],
    });
    watch.stop();
    await watch.expectEnd();
  }),

  storeCase("watch yields earlier commits first, with the values that they wrote", async ({ store }) => {
    const after = await presentRevision(store);
    for (const value of ["1", "2", "3"]) await store.commit([putSetting("k", value)]);
    const watch = new StoreWatch(store, after + 1);
    for (const [index, value] of ["2", "3"].entries()) {
      assert.deepEqual(await watch.next(), {
        type: "commit",
        revision: after + 2 + index,
        changes: [{ kind: "setting", key: "k", value: sampleSetting("k", value) }],
      });
    }
    watch.stop();
  }),

  storeCase("no commit is lost or out of order while many are made and read", async ({ store }) => {
    const count = 30;
    const after = await presentRevision(store);
    const watches = Array.from({ length: 3 }, () => new StoreWatch(store, after));
    const reads = watches.map((watch) => later(watch.commits(count)));
    await Promise.all(Array.from({ length: count }, (_, index) => store.commit([putSetting(padded(index))])));
    for (const commits of await Promise.all(reads)) {
      assert.deepEqual(
        commits.map(({ revision }) => revision),
        Array.from({ length: count }, (_, index) => after + 1 + index),
      );
      assert.equal(new Set(commits.flatMap(({ changes }) => changes.map(({ key }) => key))).size, count);
    }
    for (const watch of watches) watch.stop();
  }),

  storeCase("a snapshot and a watch from its revision tell everything", async ({ store }) => {
    const commits = later(
      (async () => {
        for (let index = 0; index < 30; index += 1) {
          if (index % 5 < 4) await store.commit([putSetting(padded(index))]);
          else await store.commit([{ op: "delete", kind: "setting", key: padded(index - 3) }]);
        }
      })(),
    );
    await store.commit([putSetting("middle")]);
    const { revision, records } = await store.snapshot();
    const picture = new Map(records.map(({ key, value }) => [key, JSON.stringify(value)]));
    const watch = new StoreWatch(store, revision);
    await commits;
    const last = await store.snapshot();
    for (const { changes } of await watch.commits(last.revision - revision)) {
      for (const { key, value } of changes) {
        if (value === null) picture.delete(key);
        else picture.set(key, JSON.stringify(value));
      }
    }
    watch.stop();
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
    const seen = new Set<string>();
    const events = new Reader(store.watch({ after, kinds: ["app"], signal: controller.signal }));
    for (let event = await events.nextOrEnd(); event !== null; event = await events.nextOrEnd()) {
      assert.ok(event.type === "commit");
      for (const { kind, key } of event.changes) seen.add(`${kind} ${key}`);
      if (event.revision === after + 3) controller.abort();
    }
    assert.deepEqual([...seen], ["app x", "app y"]);
  }),

  storeCase("checks, deletes of nothing and leases make no event", async ({ store }) => {
    const after = await presentRevision(store);
    const watch = new StoreWatch(store, after);
    const next = later(watch.next());
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
    watch.stop();
  }),

  storeCase("a watch ends without an error when its signal aborts", async ({ store }) => {
    const signal = AbortSignal.abort();
    assert.deepEqual(await within(collect(store.watch({ after: 0, signal })), "the end"), []);
    const watch = new StoreWatch(store, await presentRevision(store));
    const end = later(watch.expectEnd());
    await store.snapshot();
    watch.stop();
    await end;
  }),

  storeCase(
    "a watch from a revision that the store has not reached gets a reset and ends",
    async ({ store }) => {
      const watch = new StoreWatch(store, (await presentRevision(store)) + 1);
      await watch.expectReset();
    },
  ),

  storeCase("a watch from behind the end of the change log gets a reset and ends", async (harness) => {
    const { store, commitsToReset } = harness;
    const after = await presentRevision(store);
    await commitMany(store, commitsToReset);
    await new StoreWatch(store, after).expectReset();
    const near = new StoreWatch(store, after + commitsToReset - 1);
    const [commit] = await near.commits(1);
    assert.equal(commit?.revision, after + commitsToReset);
    near.stop();
  }),

  storeCase(
    "a slow watch that falls behind the log gets a reset, and nothing is left out before",
    async (harness) => {
      const { store, commitsToReset } = harness;
      const after = await presentRevision(store);
      const watch = new StoreWatch(store, after);
      const first = later(watch.next());
      await store.commit([putSetting("first")]);
      assert.deepEqual(await first, {
        type: "commit",
        revision: after + 1,
        changes: [{ kind: "setting", key: "first", value: sampleSetting("first") }],
      });
      await commitMany(store, commitsToReset + 1);
      for (let last = after + 1; ;) {
        const event = await watch.next();
        if (event.type === "reset") break;
        assert.equal(event.revision, last + 1);
        last = event.revision;
        assert.ok(last < after + commitsToReset, "The log does not reach back so far.");
      }
      await watch.expectEnd();
    },
  ),

  storeCase("a revision that is none is misuse", async ({ store }) => {
    for (const after of [-1, 0.5, Number.NaN]) {
      const { signal } = new AbortController();
      await rejectsAsMisuse(() => collect(store.watch({ after, signal })));
    }
  }),
];
