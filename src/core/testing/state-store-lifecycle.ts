import assert from "node:assert/strict";
import { isDinpError } from "../model/errors.js";
import type { StateStore } from "../ports/state-store.js";
import { collect, later, letOthersRun, Reader, rejectsAsMisuse, rejectsWith, within } from "./conformance.js";
import { putSetting } from "./sample-records.js";
import {
  freshStoreCase,
  newLeaseName,
  presentRevision,
  storeCase,
  type StoreCase,
  StoreWatch,
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

/** What the commit says: that it was made; that it was not, for this reason alone; or null, that it cannot tell. */
async function isCommitted(
  commit: Promise<unknown>,
  mayRefuseWith: "DINP_ABORTED" | "DINP_CLOSED",
): Promise<boolean | null> {
  try {
    await within(commit, "the end of a commit");
    return true;
  } catch (error) {
    if (isDinpError(error, "DINP_COMMIT_UNKNOWN")) return null;
    if (isDinpError(error, mayRefuseWith)) return false;
    throw error;
  }
}

export const lifecycleCases: readonly StoreCase[] = [
  storeCase("open is called once", async ({ store }) => {
    await rejectsAsMisuse(() => store.open());
    await store.commit([putSetting("k")]);
  }),

  storeCase(
    "nothing else is called before open, and a store that was closed unopened stays closed",
    async ({ unopened }) => {
      const store = unopened();
      try {
        for (const call of Object.values(callsOf(store))) await rejectsAsMisuse(call);
        const { signal } = new AbortController();
        await rejectsAsMisuse(() => collect(store.watch({ after: 0, signal })));
        await rejectsWith("DINP_ABORTED", () => store.open({ signal: AbortSignal.abort() }));
      } finally {
        await store.close();
      }
      await rejectsWith("DINP_CLOSED", () => store.open());
    },
  ),

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
    const end = later(waiting.expectEnd());
    await store.snapshot();
    await store.close();
    await end;
  }),

  freshStoreCase(
    "close lets commits that were called before it end as they said",
    async ({ store, reopen }) => {
      const commits = Array.from({ length: 20 }, (_, index) =>
        store.commit([putSetting(`k${String(index)}`)]),
      );
      const outcomes = later(Promise.all(commits.map((commit) => isCommitted(commit, "DINP_CLOSED"))));
      await store.close();
      const settled = await outcomes;
      if (reopen === null) return;
      const again = await reopen();
      const kept = new Set((await again.snapshot()).records.map(({ key }) => key));
      settled.forEach((isMade, index) => {
        if (isMade !== null) assert.equal(kept.has(`k${String(index)}`), isMade, `commit ${String(index)}`);
      });
    },
  ),

  storeCase(
    "an aborted signal rejects every call with DINP_ABORTED and changes nothing",
    async ({ store }) => {
      const before = await presentRevision(store);
      for (const call of Object.values(callsOf(store, AbortSignal.abort()))) {
        await rejectsWith("DINP_ABORTED", call);
      }
      const name = newLeaseName();
      const request = { name, holder: "one", ttlMs: 60_000 };
      await rejectsWith("DINP_ABORTED", () =>
        store.tryAcquireLease({ ...request, signal: AbortSignal.abort() }),
      );
      assert.ok(
        await store.tryAcquireLease({ ...request, holder: "two" }),
        "The aborted call took the lease.",
      );
      assert.deepEqual(await store.snapshot(), { revision: before, records: [] });
    },
  ),

  storeCase(
    "a read that is aborted while it runs is whole or rejects with DINP_ABORTED",
    async ({ store }) => {
      const { revision } = await store.commit([putSetting("k"), putSetting("a")]);
      const whole = await store.snapshot();
      for (let rounds = 0; rounds < 8; rounds += 1) {
        const controller = new AbortController();
        const options = { signal: controller.signal };
        const reads = [
          within(store.snapshot(options), "a snapshot").then((read) => {
            assert.deepEqual(read, whole);
          }),
          within(store.get("setting", "k", options), "a record").then((read) => {
            assert.equal(read?.revision, revision);
          }),
        ];
        const outcomes = Promise.allSettled(reads);
        if (rounds > 0) await letOthersRun(rounds);
        controller.abort(new Error("of the caller"));
        for (const outcome of await outcomes) {
          if (outcome.status === "rejected" && !isDinpError(outcome.reason, "DINP_ABORTED"))
            throw outcome.reason;
        }
      }
    },
  ),

  storeCase(
    "a commit that is aborted while it runs is made, or rejects with DINP_ABORTED and is not",
    async ({ store }) => {
      for (let rounds = 0; rounds < 8; rounds += 1) {
        const key = `k${String(rounds)}`;
        const controller = new AbortController();
        const commit = later(
          isCommitted(store.commit([putSetting(key)], { signal: controller.signal }), "DINP_ABORTED"),
        );
        if (rounds > 0) await letOthersRun(rounds);
        controller.abort(new Error("of the caller"));
        const isMade = await commit;
        if (isMade !== null) assert.equal((await store.get("setting", key)) !== null, isMade, key);
      }
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

  storeCase(
    "while the backend does not answer every call rejects with DINP_UNAVAILABLE, retryable, and nothing looks empty",
    async ({ store, outage }) => {
      assert.ok(outage);
      const { revision } = await store.commit([putSetting("k")]);
      const end = await outage();
      try {
        for (const call of Object.values(callsOf(store))) {
          const { retryable } = await rejectsWith("DINP_UNAVAILABLE", call);
          assert.equal(retryable, true);
        }
      } finally {
        await end();
      }
      assert.deepEqual((await store.snapshot()).revision, revision);
    },
    { requires: "outage" },
  ),

  storeCase(
    "a watch over an outage tells of every commit, or rejects with DINP_UNAVAILABLE",
    async ({ store, outage }) => {
      assert.ok(outage);
      const after = await presentRevision(store);
      const watch = new StoreWatch(store, after);
      const next = watch.next();
      const seen = later(
        next.catch((error: unknown) => {
          if (!isDinpError(error, "DINP_UNAVAILABLE")) throw error;
          return null;
        }),
      );
      const end = await outage();
      await end();
      const { revision } = await store.commit([putSetting("k")]);
      const event = await seen;
      assert.ok(event === null || (event.type === "commit" && event.revision === revision));
      watch.stop();
    },
    { requires: "outage" },
  ),

  freshStoreCase(
    "what was committed outlives the store",
    async ({ store, reopen }) => {
      assert.ok(reopen);
      const name = newLeaseName();
      const first = await store.tryAcquireLease({ name, holder: "one", ttlMs: 60_000 });
      assert.ok(first);
      const { revision: start } = await store.commit([putSetting("a", "1"), putSetting("b", "2")]);
      await store.commit([{ op: "delete", kind: "setting", key: "b" }]);
      const before = await store.snapshot();
      const again = await reopen();
      assert.deepEqual(await again.snapshot(), before);
      assert.equal(await again.tryAcquireLease({ name, holder: "two", ttlMs: 1_000 }), null);
      const renewed = await again.tryAcquireLease({ name, holder: "one", ttlMs: 60_000 });
      assert.equal(renewed?.epoch, first.epoch);
      const watch = new StoreWatch(again, start);
      assert.deepEqual(await watch.next(), {
        type: "commit",
        revision: start + 1,
        changes: [{ kind: "setting", key: "b", value: null }],
      });
      const { revision } = await again.commit([putSetting("c")]);
      assert.equal(revision, start + 2);
      watch.stop();
    },
    { requires: "reopen" },
  ),
];
