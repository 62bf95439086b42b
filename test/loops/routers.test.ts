import { routerRegistrationsKey, type Write } from "@dinp/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cluster, throughout, until } from "./cluster.js";

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.with();
});
afterEach(() => cluster.dispose());

async function routerIds(): Promise<readonly string[]> {
  return (await cluster.all("router")).map(({ id }) => id).sort();
}

describe("a router that is not registered", () => {
  test("is registered by the leader when it is at work, with an event, and is waited for", async () => {
    await cluster.deploy(1, 1, { drainMs: 150 });
    const [id = ""] = await cluster.untilRouted(1);
    cluster.startRouter("r2");
    await until("registered", async () => (await routerIds()).includes("r2"));
    const events = (await cluster.all("event")).filter(({ type }) => type === "router.registered");
    expect(events.map(({ message, actor }) => [message, actor])).toEqual([
      ["the router r2 is at work without being registered; it is waited for from now on", "leader"],
    ]);
    await cluster.stop("r2");
    await cluster.editApp({ desired: "stopped" });
    await until("stopped", () => cluster.runtime().stopped.includes(id));
    await throughout("its port is kept", 200, () => !cluster.runtime().removed.includes(id));
  });

  test("is left alone for what it said before: before this leader, and before it was forgotten", async () => {
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    cluster.startRouter("r2");
    await until("registered", async () => (await routerIds()).includes("r2"));
    await cluster.store.commit([{ op: "delete", kind: "router", key: "r2" }]);
    // It still says something: it was forgotten while it ended.
    await cluster.deploy(1, 2);
    await until("the next release", async () =>
      (await cluster.placements()).every(({ releaseId }) => releaseId === "web-r2"),
    );
    await cluster.stop("r2");
    await cluster.stop("server");
    cluster.startServer("another");
    await cluster.deploy(1, 3);
    await until("the release after it", async () =>
      (await cluster.placements()).every(({ releaseId }) => releaseId === "web-r3"),
    );
    expect(await routerIds()).toEqual(["r1"]);
  });
});

test("a port is kept when a router registers just before it would be free, unseen by the leader", async () => {
  await cluster.deploy(1);
  const [id = ""] = await cluster.untilRouted(1);
  let isRegistered = false;
  cluster.faulty.fault = async (writes, apply) => {
    const frees = writes.some(({ op, kind }) => op === "delete" && kind === "placement");
    if (frees && !isRegistered) {
      isRegistered = true;
      await cluster.store.commit(registrationOf("r2"));
    }
    return await apply();
  };
  await cluster.editApp({ desired: "stopped" });
  await until("the registration", () => isRegistered);
  const { removed } = cluster.runtime();
  await throughout("its port is kept", 300, () => !removed.includes(id));
  await cluster.store.commit([{ op: "delete", kind: "router", key: "r2" }]);
  await until("it is free once that router is forgotten", () => removed.includes(id));
});

/** As the platform commits it. */
function registrationOf(id: string): readonly Write[] {
  return [
    { op: "put", kind: "router", value: { id, address: "", registeredAt: 1 }, ifRevision: "absent" },
    { op: "put", kind: "setting", value: { key: routerRegistrationsKey, value: id } },
  ];
}
