import { afterEach, beforeEach, expect, test } from "vitest";
import { Cluster, throughout, until } from "./cluster.js";

const CLASH = "the server that leads has an address of this one";
const address = { apiUrl: "http://127.0.0.1:7080", linkUrl: "http://127.0.0.1:7443" };

let cluster: Cluster;

beforeEach(async () => {
  cluster = new Cluster();
  await cluster.store.open();
});

afterEach(() => cluster.dispose());

test.each([
  ["both addresses", address, address.apiUrl],
  ["the agents' address", { ...address, apiUrl: "http://127.0.0.1:7081" }, address.linkUrl],
])("a server that has %s of the leading one says so until it leads itself", async (_what, own, shared) => {
  const first = cluster.startServer("first", cluster.store, address);
  await until("the first leads", () => first.leads);
  const second = cluster.startServer("second", cluster.store, own);
  await until("it is told", () => cluster.warnings.includes(CLASH));
  expect([first.sharedAddress, second.sharedAddress]).toEqual([null, shared]);
  await cluster.stop("first");
  await until("the second leads", () => second.leads);
  expect(second.sharedAddress).toBeNull();
  expect(cluster.warnings.filter((each) => each === CLASH)).toHaveLength(1);
});

test("servers with addresses of their own, and one that is started anew, are told nothing", async () => {
  const first = cluster.startServer("first", cluster.store, address);
  await until("the first leads", () => first.leads);
  const other = { apiUrl: "http://127.0.0.1:7081", linkUrl: "http://127.0.0.1:7444" };
  const second = cluster.startServer("second", cluster.store, other);
  await until("it knows who leads", () => second.otherLeader() !== null);
  await throughout("nothing is said", 4 * cluster.leaseTtlMs, () => !cluster.warnings.includes(CLASH));
  await cluster.stop("second");
  // As after a crash: the lease and the address of its run before are still there.
  const { store, leaseTtlMs: ttlMs } = cluster;
  await cluster.stop("first");
  await store.tryAcquireLease({ name: "leader", holder: "ended", ttlMs });
  const again = cluster.startServer("first-again", store, address);
  await until("it leads again", () => again.leads);
  expect(cluster.warnings).not.toContain(CLASH);
});
