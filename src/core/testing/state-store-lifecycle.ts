import assert from "node:assert/strict";
import type { StateStore } from "../ports/state-store.js";
import { collect, Reader, rejectsAsMisuse, rejectsWith } from "./conformance.js";
import { putSetting } from "./sample-records.js";
import {
  freshStoreCase,
  newLeaseName,
  presentRevision,
  storeCase,
  type StoreCase,
} from "./state-store-harness.js";

/** Every method that answers once, called with this signal. */
function callsOf(store: StateStore, signal?: AbortSignal): Readonly<Record<string, () => Promise<unknown>>> {
  const options = signal === undefined ? {} : { signal };
  return {
    snapshot: () => store.snapshot(options),
    get: () => store.get("setting", "k", options),
    getUnique: () => store.getUnique("app", "name", "n", options),
    list: () => collect(store.list("setting", options)),
    commit: () => store.commit([putSetting("k")], options),
    tryAcquireLease: () =>
      store.tryAcquireLease({ name: newLeaseName(), holder: "h", ttlMs: 1_000, ...options }),
  };
}

export const lifecycleCases: readonly StoreCase[] = [
  storeCase("open is called once", async ({ store }) => {
    await rejectsAsMisuse(() => store.open());
  }),

  freshStoreCase("after close every method rejects with DINP_CLOSED", async ({ store }) => {
    await store.commit([putSetting("k")]);
    const lease = await store.tryAcquireLease({ name: newLeaseName(), holder: "h", ttlMs: 1_000 });
    assert.ok(lease);
    await store.close();
    for (const call of Object.values(callsOf(store))) await rejectsWith("DINP_CLOSED", call);
    await rejectsWith("DINP_CLOSED", () => store.open());
    await rejectsWith("DINP_CLOSED", () => store.releaseLease(lease));
    const { signal } = new AbortController();
    await rejectsWith("DINP_CLOSED", () => collect(store.watch({ after: 0, signal })));
  }),

  freshStoreCase("close can be called again, also at the same time", async ({ store }) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
  }),

  freshStoreCase("close ends watches without an error", async ({ store }) => {
    const { signal } = new AbortController();
    const waiting = new Reader(store.watch({ after: await presentRevision(store), signal }));
    const end = waiting.expectEnd();
    await store.snapshot();
    await store.close();
    await end;
  }),

  freshStoreCase("close lets commits that were called before it end as they said", async (harness) => {
    const { store, reopen } = harness;
    const outcomes = Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => store.commit([putSetting(`k${String(index)}`)])),
    );
    await store.close();
    const settled = await outcomes;
    if (reopen === null) return;
    const again = await reopen();
    const kept = new Set((await again.snapshot()).records.map(({ key }) => key));
    settled.forEach((outcome, index) => {
      assert.equal(kept.has(`k${String(index)}`), outcome.status === "fulfilled", `commit ${String(index)}`);
    });
  }),

  storeCase(
    "an aborted signal rejects every call with DINP_ABORTED and changes nothing",
    async ({ store }) => {
      const before = await presentRevision(store);
      for (const call of Object.values(callsOf(store, AbortSignal.abort()))) {
        await rejectsWith("DINP_ABORTED", call);
      }
      const after = await store.snapshot();
      assert.deepEqual(after, { revision: before, records: [] });
    },
  ),

  storeCase("a list that is aborted in between rejects and is not cut short", async ({ store }) => {
    await store.commit([putSetting("a"), putSetting("b"), putSetting("c")]);
    const controller = new AbortController();
    const reader = new Reader(store.list("setting", { signal: controller.signal }));
    assert.equal((await reader.next()).key, "a");
    controller.abort();
    await rejectsWith("DINP_ABORTED", () => reader.next());
  }),

  freshStoreCase("what was committed outlives the store", async ({ store, reopen }) => {
    if (reopen === null) return;
    const name = newLeaseName();
    const first = await store.tryAcquireLease({ name, holder: "one", ttlMs: 60_000 });
    const { revision: start } = await store.commit([putSetting("a", "1"), putSetting("b", "2")]);
    await store.commit([{ op: "delete", kind: "setting", key: "b" }]);
    const before = await store.snapshot();
    const again = await reopen();
    assert.deepEqual(await again.snapshot(), before);
    assert.equal(await again.tryAcquireLease({ name, holder: "two", ttlMs: 1_000 }), null);
    const renewed = await again.tryAcquireLease({ name, holder: "one", ttlMs: 60_000 });
    assert.equal(renewed?.epoch, first?.epoch);
    const controller = new AbortController();
    const reader = new Reader(again.watch({ after: start, signal: controller.signal }));
    assert.deepEqual(await reader.next(), {
      type: "commit",
      revision: start + 1,
      changes: [{ kind: "setting", key: "b", value: null }],
    });
    const { revision } = await again.commit([putSetting("c")]);
    assert.equal(revision, start + 2);
    controller.abort();
  }),
];
