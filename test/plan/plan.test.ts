import { describe, expect, test } from "vitest";
import { World } from "./world.js";

/** One app of `instances` on two nodes, converged on release 1. */
function running(instances: number): World {
  const world = new World();
  world.node("a");
  world.node("b");
  world.release("web", 1);
  world.app("web", instances);
  world.converge();
  return world;
}

function deploy(world: World, number: number): void {
  world.release("web", number);
  const app = world.index.get("app", "web");
  if (app === undefined) throw new Error("no app");
  world.put("app", { ...app, currentRelease: `web-r${String(number)}` });
}

function change(world: World, fields: Record<string, unknown>): void {
  const app = world.index.get("app", "web");
  if (app === undefined) throw new Error("no app");
  world.put("app", { ...app, ...fields });
}

describe("placing", () => {
  test("places the wanted number, spread over the nodes, each with a reason", () => {
    const world = running(4);
    const placements = world.placements("web");
    expect(placements).toHaveLength(4);
    expect(placements.filter((placement) => placement.nodeId === "a")).toHaveLength(2);
    expect(placements.every((placement) => placement.reason.includes("4 wanted of release 1"))).toBe(true);
    expect(world.index.get("rollout", "web-r1")?.state).toBe("complete");
  });

  test("a converged cluster has nothing to do", () => {
    const world = running(3);
    expect(world.plan().apps).toEqual([]);
  });

  test("refuses what no node has memory for, and says how much is free", () => {
    const world = new World();
    world.node("a", { memoryMb: 300 });
    world.release("web", 1);
    world.app("web", 3);
    world.converge();
    const refused = world.plan().apps.flatMap((app) => app.refused);
    expect(world.placements("web")).toHaveLength(2);
    expect(refused).toMatchObject([{ code: "no-capacity" }]);
    expect(refused[0]?.reason).toContain("44 MB of memory free, 128 needed");
  });

  test("reserves processor shares too", () => {
    const world = new World();
    world.node("a", { cpuMillis: 250 });
    world.release("web", 1);
    world.app("web", 3);
    world.converge();
    expect(world.placements("web")).toHaveLength(2);
    expect(world.plan().apps[0]?.refused[0]?.reason).toContain("0.05 processors free, 0.1 needed");
  });

  test("places no more on a node than it has ports for", () => {
    const world = new World();
    world.node("a", { instancesMax: 2 });
    world.node("b", { instancesMax: 1 });
    world.release("web", 1);
    world.app("web", 4);
    world.converge();
    expect(
      world
        .placements("web")
        .map(({ nodeId }) => nodeId)
        .sort(),
    ).toEqual(["a", "a", "b"]);
    const refused = world.plan().apps[0]?.refused[0];
    expect(refused?.code).toBe("no-capacity");
    expect(refused?.reason).toContain("a: has 2 ports for instances, all of which are taken");
  });

  test.each([
    ["a cordoned node", { cordoned: true }, "is cordoned"],
    ["a node without the interpreter", { programs: ["python3"] }, "has no node"],
  ])("never uses %s", (_name, fields, why) => {
    const world = new World();
    world.node("a", fields);
    world.release("web", 1);
    world.app("web", 1);
    world.settle();
    expect(world.placements("web")).toHaveLength(0);
    expect(world.plan().apps[0]?.refused).toMatchObject([{ code: "no-node" }]);
    expect(world.plan().apps[0]?.refused[0]?.reason).toContain(why);
  });

  test("says so when there is no node at all", () => {
    const world = new World();
    world.release("web", 1);
    world.app("web", 1);
    world.settle();
    expect(world.plan().apps[0]?.refused[0]?.reason).toContain("no node has registered");
  });
});

describe("scaling and stopping", () => {
  test("scaling down drains ready instances and keeps the wanted number ready", () => {
    const world = running(4);
    change(world, { instances: 1 });
    world.step();
    const draining = world.placements("web").filter((placement) => placement.desired === "draining");
    expect(draining).toHaveLength(3);
    expect(draining[0]?.reason).toBe("1 wanted, 4 run");
    world.converge();
    expect(world.placements("web")).toHaveLength(1);
  });

  test("a draining instance is stopped only when the routers let go, or when its time is over", () => {
    const world = running(2);
    for (const placement of world.placements("web")) world.held.add(placement.instanceId);
    change(world, { instances: 1 });
    world.converge();
    expect(
      world
        .placements("web")
        .map((placement) => placement.desired)
        .sort(),
    ).toEqual(["draining", "running"]);
    const wakeAt = world.plan().wakeAt ?? 0;
    expect(wakeAt).toBe(world.now + 5000);
    world.now = wakeAt;
    world.settle();
    expect(
      world
        .placements("web")
        .map((placement) => placement.desired)
        .sort(),
    ).toEqual(["running", "stopped"]);
  });

  test("an ended instance keeps its records, and so its port, until every router acknowledged, however long", () => {
    const world = running(2);
    change(world, { instances: 1 });
    world.step();
    const leaving = world.placements("web").find((placement) => placement.desired === "draining");
    world.step();
    world.held.add(leaving?.instanceId ?? "");
    world.agents();
    world.now += 10_000_000;
    world.seenAt.set("a", world.now).set("b", world.now);
    world.converge();
    expect(world.placements("web")).toHaveLength(2);
    world.held.clear();
    world.converge();
    expect(world.placements("web")).toHaveLength(1);
  });

  test("stopping drains all; starting brings the same release back", () => {
    const world = running(2);
    change(world, { desired: "stopped" });
    world.converge();
    expect(world.placements("web")).toHaveLength(0);
    change(world, { desired: "running" });
    world.converge();
    expect(world.readyCount("web")).toBe(2);
  });

  test("only a tombstone removes an app's records, after its instances are gone", () => {
    const world = running(2);
    change(world, { deletedAt: world.now });
    world.step();
    expect(world.index.get("app", "web")).toBeDefined();
    world.converge();
    expect(world.index.get("app", "web")).toBeUndefined();
    expect(world.index.count("release")).toBe(0);
    expect(world.index.count("rollout")).toBe(0);
  });
});

describe("replacing", () => {
  test("starts the new release first and never has fewer ready than wanted", () => {
    const world = running(4);
    deploy(world, 2);
    for (let i = 0; i < 40; i += 1) {
      world.step();
      expect(world.readyCount("web")).toBeGreaterThanOrEqual(4);
      const live = world.placements("web").filter((placement) => placement.desired === "running");
      expect(live.length).toBeLessThanOrEqual(5);
      world.agents();
    }
    expect(world.placements("web").every((placement) => placement.releaseId === "web-r2")).toBe(true);
    expect(world.index.get("rollout", "web-r2")?.state).toBe("complete");
  });

  test("no old one leaves for a new one that a node may have lost: the leader has not heard what runs there", () => {
    const world = running(2);
    deploy(world, 2);
    world.settle();
    world.agents();
    const [fresh] = world.placements("web").filter(({ releaseId }) => releaseId === "web-r2");
    if (fresh === undefined) throw new Error("nothing placed");
    world.reported = new Set(["a", "b"].filter((id) => id !== fresh.nodeId));
    world.settle();
    const old = world.placements("web").filter(({ releaseId }) => releaseId === "web-r1");
    expect(old.map(({ desired }) => desired)).toEqual(["running", "running"]);
    world.reported.add(fresh.nodeId);
    world.converge();
    expect(world.index.get("rollout", "web-r2")?.state).toBe("complete");
  });

  test("no old one leaves for a new one while a node that is still to be heard may have lost one that is counted", () => {
    const world = new World();
    for (const id of ["a", "b", "c"]) world.node(id);
    world.release("web", 1);
    world.app("web", 3);
    world.converge();
    deploy(world, 2);
    world.settle();
    const [fresh] = world.placements("web").filter(({ releaseId }) => releaseId === "web-r2");
    if (fresh === undefined) throw new Error("nothing placed");
    world.ready(fresh);
    const leaving = (): number => {
      const [whole, ofChanges] = [world.plan(), world.planChanged()].map(({ apps }) =>
        apps.flatMap(({ move }) => move.map(({ placement }) => placement.instanceId)),
      );
      expect(ofChanges).toEqual(whole);
      return whole?.length ?? 0;
    };
    expect(leaving()).toBe(1);
    world.reported = new Set([fresh.nodeId]);
    world.planner.noteHeard();
    expect(leaving()).toBe(0);
    // Nodes that nobody expects to hear soon hold nothing up: what they may run is replaced one by one.
    world.now += world.policy.lostAfterMs;
    world.seenAt.set(fresh.nodeId, world.now);
    world.planner.noteHeard();
    expect(leaving()).toBe(1);
  });

  test("a release that keeps failing is given up with its reason and log; the old one goes on untouched", () => {
    const world = running(2);
    const before = world
      .placements("web")
      .map((placement) => placement.instanceId)
      .sort();
    deploy(world, 2);
    for (let i = 0; i < 20 && world.index.get("rollout", "web-r2")?.state !== "failed"; i += 1) {
      world.step();
      const fresh = world
        .placements("web")
        .filter((p) => p.releaseId === "web-r2" && p.desired === "running");
      for (const placement of fresh) world.exit(placement);
      world.now += 10_000;
      world.seenAt.set("a", world.now).set("b", world.now);
    }
    expect(world.index.get("rollout", "web-r2")).toMatchObject({ state: "failed", logTail: ["boom"] });
    expect(world.index.get("rollout", "web-r2")?.reason).toContain("3 failures in a row");
    world.converge();
    expect(
      world
        .placements("web")
        .map((placement) => placement.instanceId)
        .sort(),
    ).toEqual(before);
    expect(world.index.get("app", "web")?.currentRelease).toBe("web-r2");
  });

  test("a command that cannot start fails its rollout at once", () => {
    const world = running(1);
    deploy(world, 2);
    world.step();
    const fresh = world.placements("web").find((placement) => placement.releaseId === "web-r2");
    if (fresh === undefined) throw new Error("nothing placed");
    world.exit(fresh, { cause: "start", message: "ruby: not found" });
    world.converge();
    expect(world.index.get("rollout", "web-r2")).toMatchObject({
      state: "failed",
      reason: "ruby: not found",
    });
    expect(world.readyCount("web")).toBe(1);
  });

  test("a rollout that does not get ready fails at its deadline", () => {
    const world = running(1);
    deploy(world, 2);
    world.settle();
    world.now = world.plan().wakeAt ?? 0;
    expect(world.now).toBeGreaterThan(1_000_000);
    for (let i = 0; i < 30 && world.index.get("rollout", "web-r2")?.state === "running"; i += 1) {
      world.seenAt.set("a", world.now).set("b", world.now);
      world.step();
      world.now += 30_000;
    }
    expect(world.index.get("rollout", "web-r2")?.reason).toContain("0 of 1 instances were ready after 600 s");
  });

  test("a newer release supersedes a rollout that is under way", () => {
    const world = running(2);
    deploy(world, 2);
    world.step();
    deploy(world, 3);
    world.converge();
    expect(world.index.get("rollout", "web-r2")?.state).toBe("superseded");
    expect(world.index.get("rollout", "web-r3")?.state).toBe("complete");
  });
});

describe("failures", () => {
  test("an ended instance is replaced at once, then with growing waits, and counts anew after running well", () => {
    const world = running(1);
    const waits: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const [placement] = world.placements("web").filter((p) => p.desired === "running");
      if (placement === undefined) throw new Error("nothing runs");
      world.exit(placement);
      world.step();
      const failedAt = world.now;
      while (world.placements("web").every((p) => p.desired !== "running")) {
        world.agents();
        if (world.step()) continue;
        world.now = Math.max(world.now + 1, world.plan().wakeAt ?? 0);
      }
      waits.push(world.now - failedAt);
      world.agents();
      world.settle();
    }
    expect(waits).toEqual([0, 1000, 2000, 4000, 8000]);
    world.now += 60_000;
    world.seenAt.set("a", world.now).set("b", world.now);
    const [placement] = world.placements("web").filter((p) => p.desired === "running");
    if (placement === undefined) throw new Error("nothing runs");
    world.exit(placement);
    world.converge();
    expect(world.index.get("crash", "web-r1")?.failures).toBe(1);
    expect(world.readyCount("web")).toBe(1);
  });

  test("instances that were stopped with the platform are replaced and count as nobody's failure", () => {
    const world = running(2);
    for (const placement of world.placements("web")) world.exit(placement, { cause: "stopped" });
    world.converge();
    expect(world.readyCount("web")).toBe(2);
    expect(world.index.get("crash", "web-r1")).toBeUndefined();
  });

  test("one failure is counted once, however often it is planned", () => {
    const world = running(1);
    const [placement] = world.placements("web");
    if (placement === undefined) throw new Error("nothing runs");
    world.exit(placement);
    world.settle();
    world.settle();
    expect(world.index.get("crash", "web-r1")?.failures).toBe(1);
  });
});

describe("safety", () => {
  test("a view that is not fresh leads to no stop, whatever it says", () => {
    const world = running(4);
    change(world, { instances: 1 });
    world.fresh = false;
    const plan = world.plan();
    expect(plan.apps.flatMap((app) => app.move)).toEqual([]);
    expect(plan.apps.flatMap((app) => app.refused)).toMatchObject([{ code: "view-not-fresh" }]);
  });

  test("instances of an app that has no record are kept and named", () => {
    const world = running(2);
    world.remove("app", "web");
    const plan = world.plan();
    expect(plan.apps).toEqual([]);
    expect(plan.refused).toMatchObject([{ appId: "web", code: "orphan-of-unknown-app" }]);
  });

  test("a running instance without a placement is adopted when wanted, stopped within the budget when not", () => {
    const world = running(2);
    const [first] = world.placements("web");
    world.remove("placement", first?.instanceId ?? "");
    world.converge();
    expect(world.placements("web").map((p) => p.instanceId)).toContain(first?.instanceId);
    for (let i = 0; i < 12; i += 1) {
      world.status(
        {
          instanceId: `x${String(i)}`,
          appId: "web",
          releaseId: "web-r1",
          nodeId: "a",
          desired: "running",
          reason: "",
          createdAt: 0,
          changedAt: 0,
        },
        { phase: "running" },
      );
    }
    const plan = world.plan();
    expect(plan.apps[0]?.adopt).toHaveLength(10);
    expect(plan.apps[0]?.adopt.every((action) => action.inferredStop)).toBe(true);
    expect(plan.apps[0]?.refused).toMatchObject([{ code: "inferred-stop-budget" }]);
  });

  test("a lost node's instances are replaced elsewhere and nothing is stopped; its return leaves no surplus", () => {
    const world = new World();
    for (const id of ["a", "b", "c"]) world.node(id);
    world.release("web", 1);
    world.app("web", 3);
    world.converge();
    world.now += 100_000;
    world.seenAt.set("a", world.now).set("b", world.now);
    world.step();
    expect(world.placements("web").filter((p) => p.desired === "running")).toHaveLength(4);
    world.agents();
    world.seenAt.set("c", world.now);
    world.converge();
    expect(world.placements("web")).toHaveLength(3);
    expect(world.readyCount("web")).toBe(3);
  });

  /** Six instances on the nodes a, b and c, and those of c replaced on the others while it is lost. */
  function replacedOnOthers(): World {
    const world = new World();
    for (const id of ["a", "b", "c"]) world.node(id);
    world.release("web", 1);
    world.app("web", 6);
    world.converge();
    world.now += 100_000;
    world.seenAt.set("a", world.now).set("b", world.now);
    world.converge();
    expect(world.placements("web")).toHaveLength(8);
    return world;
  }

  const retiredOn = (world: World): readonly string[] =>
    world.plan().apps.flatMap(({ move }) => move.map(({ placement }) => placement.nodeId));

  test("a node that is back and has not told yet what runs there is not counted on: what serves elsewhere stays", () => {
    const world = replacedOnOthers();
    world.reported = new Set(["a", "b"]);
    world.seenAt.set("c", world.now);
    expect(retiredOn(world)).toEqual(["c", "c"]);
  });

  test("what a node that has not told yet may serve stays while it is needed: its replacements come first", () => {
    const world = replacedOnOthers();
    world.reported = new Set(["a", "b"]);
    world.seenAt.set("c", world.now);
    const replacements = world.placements("web").filter(({ nodeId }) => nodeId !== "c");
    const late = replacements.slice(0, 2);
    for (const placement of late) world.status(placement, { ready: false });
    expect(retiredOn(world)).toEqual([]);
    // Which of the two that only records know still serves, if one of them does, nobody has said.
    for (const placement of late) {
      expect(retiredOn(world)).toEqual([]);
      world.ready(placement);
    }
    expect(retiredOn(world)).toEqual(["c", "c"]);
  });

  test("of several nodes that have not told yet, none has to give up what may serve for what another may have lost", () => {
    const world = replacedOnOthers();
    world.reported = new Set(["a"]);
    world.seenAt.set("c", world.now);
    expect(retiredOn(world)).toEqual([]);
    world.reported.add("b");
    expect(retiredOn(world)).toEqual(["c", "c"]);
  });

  test("a new leader counts on no instance of a node that is away: it waits for reports, and what serves stays", () => {
    const world = replacedOnOthers();
    world.seenAt.clear();
    world.reported = new Set(["a", "b"]);
    world.leaderSince = world.now;
    const [app] = world.plan().apps;
    expect(app?.move).toEqual([]);
    expect(app?.refused).toMatchObject([
      { code: "nodes-not-reported", retryAt: world.leaderSince + world.policy.firstReportMs },
    ]);
    world.now += world.policy.firstReportMs;
    world.seenAt.set("a", world.now).set("b", world.now);
    expect(retiredOn(world)).toEqual(["c", "c"]);
  });

  test("when most nodes go silent none is lost", () => {
    const world = running(2);
    world.now += 100_000;
    expect(world.plan().apps).toEqual([]);
  });

  test("a new leader calls no node lost within its grace time", () => {
    const world = new World();
    for (const id of ["a", "b", "c"]) world.node(id);
    world.release("web", 1);
    world.app("web", 3);
    world.converge();
    world.now += 100_000;
    world.leaderSince = world.now - 40_000;
    world.seenAt.clear();
    world.seenAt.set("a", world.now).set("b", world.now);
    expect(world.plan().apps).toEqual([]);
    expect(world.plan().wakeAt).toBe(world.leaderSince + 60_000);
  });
});
