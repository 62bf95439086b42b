import assert from "node:assert/strict";
import { isDinpError } from "../model/errors.js";
import type { Lease, StateStore } from "../ports/state-store.js";
import { rejectsAsMisuse, rejectsWith } from "./conformance.js";
import { putSetting } from "./sample-records.js";
import {
  newLeaseName,
  presentRevision,
  storeCase,
  type StateStoreHarness,
  type StoreCase,
} from "./state-store-harness.js";

const LONG_MS = 600_000;

async function take(store: StateStore, name: string, holder: string, ttlMs = LONG_MS): Promise<Lease> {
  const lease = await store.tryAcquireLease({ name, holder, ttlMs });
  assert.ok(lease, `${holder} must get the lease.`);
  return lease;
}

async function refuse(store: StateStore, name: string, holder: string): Promise<void> {
  assert.equal(await store.tryAcquireLease({ name, holder, ttlMs: LONG_MS }), null);
}

/** Takes the lease as soon as its holder's time has run out. */
async function takeOver(harness: StateStoreHarness, name: string, holder: string): Promise<Lease> {
  const { store, time } = harness;
  for (let tries = 0; tries < 1_000; tries += 1) {
    const lease = await store.tryAcquireLease({ name, holder, ttlMs: LONG_MS });
    if (lease !== null) return lease;
    await time.pass(20);
  }
  assert.fail("The lease never expired.");
}

async function fenced(store: StateStore, lease: Lease, key = "k"): Promise<void> {
  const before = await presentRevision(store);
  const fencing = { lease: lease.name, epoch: lease.epoch };
  await rejectsWith("DINP_FENCED", () => store.commit([putSetting(key)], { fencing }));
  const check = { op: "check", kind: "setting", key: "absent", ifRevision: "absent" } as const;
  await rejectsWith("DINP_FENCED", () => store.commit([check], { fencing }));
  assert.equal(await presentRevision(store), before);
}

export const leaseCases: readonly StoreCase[] = [
  storeCase("a free lease is taken, and another holder does not get it", async ({ store }) => {
    const name = newLeaseName();
    const lease = await take(store, name, "one");
    assert.deepEqual(lease, { name, holder: "one", epoch: lease.epoch, ttlMs: LONG_MS });
    assert.ok(lease.epoch > 0);
    await refuse(store, name, "two");
    await take(store, newLeaseName(), "two");
  }),

  storeCase("its holder renews a lease, which keeps its epoch and lasts anew", async (harness) => {
    const { store, time } = harness;
    const name = newLeaseName();
    const first = await take(store, name, "one", 300);
    const renewed = await take(store, name, "one", LONG_MS);
    assert.equal(renewed.epoch, first.epoch);
    await time.pass(400);
    await refuse(store, name, "two");
    await store.commit([putSetting("k")], { fencing: { lease: name, epoch: first.epoch } });
  }),

  storeCase(
    "an expired lease goes to the next holder with a higher epoch, and not before",
    async (harness) => {
      const { store, time } = harness;
      const name = newLeaseName();
      const start = time.now();
      const first = await take(store, name, "one", 300);
      const second = await takeOver(harness, name, "two");
      assert.ok(time.now() - start >= 299, "The lease was taken over before its time.");
      assert.ok(second.epoch > first.epoch);
      await refuse(store, name, "one");
    },
  ),

  storeCase(
    "an expired lease that nobody took is still its holder's, with its epoch",
    async ({ store, time }) => {
      const name = newLeaseName();
      const first = await take(store, name, "one", 1);
      await time.pass(20);
      await store.commit([putSetting("k")], { fencing: { lease: name, epoch: first.epoch } });
      assert.equal((await take(store, name, "one")).epoch, first.epoch);
    },
  ),

  storeCase("a lease that was given up goes to the next holder with a higher epoch", async ({ store }) => {
    const name = newLeaseName();
    const first = await take(store, name, "one");
    await store.releaseLease(first);
    const second = await take(store, name, "two");
    assert.ok(second.epoch > first.epoch);
    await store.releaseLease(second);
    const third = await take(store, name, "two");
    assert.ok(third.epoch > second.epoch);
  }),

  storeCase("giving up a lease that moved on does nothing", async ({ store }) => {
    const name = newLeaseName();
    const first = await take(store, name, "one");
    await store.releaseLease(first);
    const second = await take(store, name, "two");
    await store.releaseLease(first);
    await refuse(store, name, "three");
    await store.releaseLease({ ...second, name: newLeaseName() });
    await store.commit([putSetting("k")], { fencing: { lease: name, epoch: second.epoch } });
  }),

  storeCase("of those who ask at the same time one gets the lease", async ({ store }) => {
    const name = newLeaseName();
    const leases = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        store.tryAcquireLease({ name, holder: `h${String(index)}`, ttlMs: LONG_MS }),
      ),
    );
    assert.equal(leases.filter((lease) => lease !== null).length, 1);
  }),

  storeCase("a commit under a lease is taken while the lease has that epoch", async (harness) => {
    const { store } = harness;
    const name = newLeaseName();
    const first = await take(store, name, "one", 50);
    await store.commit([putSetting("k")], { fencing: { lease: name, epoch: first.epoch } });
    const second = await takeOver(harness, name, "two");
    await fenced(store, first);
    await fenced(store, { ...second, epoch: second.epoch + 1 });
    await store.commit([putSetting("k", "2")], { fencing: { lease: name, epoch: second.epoch } });
    assert.equal((await store.get("setting", "k"))?.value.value, "2");
  }),

  storeCase("a commit under a lease that is given up or unknown is fenced", async ({ store }) => {
    const lease = await take(store, newLeaseName(), "one");
    await store.releaseLease(lease);
    await fenced(store, lease);
    await fenced(store, { ...lease, name: newLeaseName() });
    assert.equal(await store.get("setting", "k"), null);
  }),

  storeCase("no commit of an old epoch lands once the next holder has the lease", async ({ store }) => {
    const name = newLeaseName();
    let lease = await take(store, name, "holder-0");
    for (let round = 1; round <= 5; round += 1) {
      const fencing = { lease: name, epoch: lease.epoch };
      const commits = Array.from({ length: 12 }, (_, index) =>
        store.commit([putSetting(`${String(round)}-${String(index)}`)], { fencing }),
      );
      const outcomes = Promise.allSettled(commits);
      await store.releaseLease(lease);
      lease = await take(store, name, `holder-${String(round)}`);
      const border = await presentRevision(store);
      for (const outcome of await outcomes) {
        if (outcome.status === "fulfilled") assert.ok(outcome.value.revision <= border, "It landed behind.");
        else if (!isDinpError(outcome.reason, "DINP_FENCED")) throw outcome.reason;
      }
    }
  }),

  storeCase("leases make no revision", async ({ store }) => {
    const before = await presentRevision(store);
    const lease = await take(store, newLeaseName(), "one");
    await take(store, lease.name, "one");
    await store.releaseLease(lease);
    assert.equal(await presentRevision(store), before);
  }),

  storeCase("a lease without a name, a holder or a time is misuse", async ({ store }) => {
    const request = { name: newLeaseName(), holder: "h", ttlMs: 1 };
    await rejectsAsMisuse(() => store.tryAcquireLease({ ...request, name: "" }));
    await rejectsAsMisuse(() => store.tryAcquireLease({ ...request, holder: "" }));
    for (const ttlMs of [0, -1, 0.5, Number.NaN, Infinity]) {
      await rejectsAsMisuse(() => store.tryAcquireLease({ ...request, ttlMs }));
    }
  }),
];
