import { afterEach, beforeEach, expect, test } from "vitest";
import { Cluster, until } from "./cluster.js";

let cluster: Cluster;

beforeEach(async () => {
  cluster = new Cluster();
  // No renewal tells the server that its lease has passed on.
  cluster.leaseTtlMs = 600_000;
  await cluster.start();
});

afterEach(() => cluster.dispose());

/** The lease passes to another server, of which the one that runs here has not heard yet. */
async function passLeaseOn(): Promise<void> {
  const { store, leaseTtlMs: ttlMs } = cluster;
  const lease = await store.tryAcquireLease({ name: "leader", holder: "server", ttlMs });
  if (lease === null) throw new Error("the server does not lead");
  await store.releaseLease(lease);
  await store.tryAcquireLease({ name: "leader", holder: "another", ttlMs: 60_000 });
}

test("tells of a placement that the store refused", async () => {
  await cluster.deploy(1);
  await cluster.untilRouted(1);
  expect(cluster.fenced).toEqual([]);
  await passLeaseOn();
  await cluster.editApp({ instances: 2 });
  await until("the refusal", () => cluster.fenced.length > 0);
  expect(cluster.fenced).toContain("store");
  expect(await cluster.placements()).toHaveLength(1);
});

test("tells of a route that the table refused", async () => {
  await cluster.deploy(1);
  await cluster.untilRouted(1);
  const { version } = await cluster.table.snapshot();
  await cluster.table.apply([], { epoch: version.epoch + 7, ifVersion: version });
  await cluster.put("domain", { host: "shop.example.com", path: "/", appId: "web", createdAt: 0 });
  await until("the refusal", () => cluster.fenced.includes("table"));
  expect(cluster.routed("shop.example.com")).toEqual([]);
});
