import { afterEach, beforeEach, expect, test } from "vitest";
import { Cluster, until } from "./cluster.js";
import { gate } from "./faulty-store.js";

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.with();
});

afterEach(() => cluster.dispose());

test("a node that is back without what it ran takes no place of what serves elsewhere", async () => {
  for (const name of ["n2", "n3"]) cluster.startAgent(name);
  await until("three nodes", async () => (await cluster.all("node")).length === 3);
  await cluster.deploy(6);
  await cluster.untilRouted(6);
  await cluster.stop("n2");
  const lost = cluster.runtime("n2").instances.size;
  cluster.runtime("n2").instances.clear();
  await cluster.untilRouted(6 + lost);
  // The leader hears of the node some time before the store takes what it tells.
  const reports = gate();
  cluster.faulty.fault = async (writes, apply) => {
    const isReport = writes.some((write) => write.op === "put" && write.kind === "instanceStatus");
    if (isReport) await reports.promise;
    return apply();
  };
  cluster.startAgent("n2");
  await until("so many as are wanted", async () => {
    const placements = await cluster.placements();
    return placements.filter(({ desired }) => desired === "running").length === 6;
  });
  reports.open();
  await until("what it ran is forgotten", async () => (await cluster.placements()).length === 6);
  expect(cluster.routed()).toHaveLength(6);
  for (const name of ["n1", "n3"]) expect(cluster.runtime(name).stopped).toEqual([]);
});
