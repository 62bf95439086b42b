import { hasActions, type Plan, type Refusal } from "@dinp/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { World } from "./world.js";

const NODES = ["a", "b", "c", "d"];
const APPS = ["blog", "mail", "shop", "wiki"];

type Step = { readonly app: string; readonly node: string; readonly pick: number } & (
  | { readonly do: "scale"; readonly to: number }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: (typeof plain)[number] }
);

const plain = [
  ...(["deploy", "stop", "start", "delete", "create"] as const),
  ...(["exit", "unready", "agents", "lose-placement", "appear", "move-release"] as const),
  ...(["cordon", "uncordon", "shrink", "grow", "silence", "hear", "join", "leave"] as const),
  ...(["disconnect", "report", "new-leader"] as const),
  ...(["hold", "let-go", "forget-router", "use-budget", "free-budget", "go-stale", "settle"] as const),
] as const;

const where = { app: fc.constantFrom(...APPS), node: fc.constantFrom(...NODES), pick: fc.nat(30) };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ ...where, do: fc.constant("scale" as const), to: fc.nat(6) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...where,
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(10, 1_000, 9_000, 40_000, 700_000),
    }),
  },
  { weight: 20, arbitrary: fc.record({ ...where, do: fc.constantFrom(...plain) }) },
);

/** Several apps on a crowded cluster, planned from what changed. */
class Story {
  readonly world = new World({ inferredStopsMax: 2 });
  readonly #silent = new Set<string>();
  readonly #reported = new Set<string>();
  /** What the planner last said of each app. */
  readonly #refused = new Map<string, readonly Refusal[]>();
  #releases = 1;
  #made = 0;

  constructor() {
    this.world.reported = this.#reported;
    for (const node of NODES) this.#join(node);
    for (const app of APPS.slice(1)) this.#create(app);
  }

  /** Often comes to rest in between: only then is it seen what a single change sets off. */
  act(step: Step): void {
    this.#hear();
    this.#do(step);
    if (step.pick % 3 === 0) this.settle();
    if (step.pick % 3 === 1) this.world.agents();
  }

  #do(step: Step): void {
    const { world } = this;
    const app = world.index.get("app", step.app);
    const node = world.index.get("node", step.node);
    const placements = world.placements(step.app);
    const chosen = placements[step.pick % Math.max(1, placements.length)];
    switch (step.do) {
      case "scale":
        if (app !== undefined) world.put("app", { ...app, instances: step.to });
        return;
      case "deploy": {
        if (app === undefined) return;
        this.#releases += 1;
        const createdAt = world.now;
        const release = world.release(step.app, this.#releases, { createdAt, memoryMb: 64 + step.pick * 8 });
        world.put("app", { ...app, currentRelease: release.id });
        return;
      }
      case "stop":
      case "start":
        if (app !== undefined)
          world.put("app", { ...app, desired: step.do === "stop" ? "stopped" : "running" });
        return;
      case "delete":
        if (app !== undefined) world.put("app", { ...app, deletedAt: app.deletedAt ?? world.now });
        return;
      case "create":
        if (app === undefined) this.#create(step.app);
        return;
      case "exit":
        if (chosen !== undefined) world.exit(chosen);
        return;
      case "unready":
        if (chosen !== undefined) world.status(chosen, { phase: "running", ready: false });
        return;
      case "agents":
        world.agents();
        return;
      case "lose-placement":
        if (chosen !== undefined) world.remove("placement", chosen.instanceId);
        return;
      case "move-release":
        if (chosen !== undefined) world.remove("release", chosen.releaseId);
        return;
      case "appear":
        this.#appear(step.app, step.node);
        return;
      case "cordon":
      case "uncordon":
        if (node !== undefined) world.put("node", { ...node, cordoned: step.do === "cordon" });
        return;
      case "shrink":
      case "grow":
        if (node !== undefined) world.put("node", { ...node, memoryMb: step.do === "shrink" ? 256 : 1024 });
        return;
      case "silence":
        this.#silent.add(step.node);
        return;
      case "hear":
        this.#silent.delete(step.node);
        return;
      case "disconnect":
        this.#reported.delete(step.node);
        world.planner.noteHeard();
        return;
      case "report":
        this.#reported.add(step.node);
        world.planner.noteHeard();
        return;
      case "new-leader":
        this.#reported.clear();
        world.leaderSince = world.now;
        world.planner.note(null);
        return;
      case "join":
        if (node === undefined) this.#join(step.node);
        return;
      case "leave":
        world.remove("node", step.node);
        return;
      case "hold":
        if (chosen !== undefined) world.held.add(chosen.instanceId);
        return;
      case "let-go":
        world.held.clear();
        world.planner.noteRouters();
        return;
      case "forget-router":
        // Without it nobody holds anything; the view alone says so.
        world.held.clear();
        world.remove("router", `r${String(step.pick)}`);
        return;
      case "use-budget":
      case "free-budget":
        world.recentInferredStops = step.do === "use-budget" ? 2 : 0;
        return;
      case "go-stale":
        world.fresh = false;
        this.#plan();
        world.fresh = true;
        return;
      case "wait":
        world.now += step.ms;
        return;
      case "settle":
        this.settle();
    }
  }

  /** To the fixpoint of plans of what changed; then a plan of everything finds the same: nothing. */
  settle(): void {
    const { world } = this;
    this.#hear();
    for (let i = 0; world.step(this.#plan()); i += 1) expect(i).toBeLessThan(100);
    const full = world.plan();
    expect(full.apps.filter(hasActions)).toEqual([]);
    expect(codesOf([...this.#refused.values()].flat())).toEqual(codesOf(refusalsOf(full)));
    expect(world.planChanged().wakeAt ?? Infinity).toBeLessThanOrEqual(full.wakeAt ?? Infinity);
  }

  #plan(): Plan {
    const plan = this.world.planChanged();
    for (const appId of plan.looked) {
      const own = refusalsOf(plan).filter((refusal) => refusal.appId === appId);
      if (own.length === 0) this.#refused.delete(appId);
      else this.#refused.set(appId, own);
    }
    return plan;
  }

  /** As the leader does: a node that was silent and is heard of is news, another's heartbeat is not. */
  #hear(): void {
    const { world } = this;
    for (const { id } of [...world.index.all("node")]) {
      if (this.#silent.has(id)) continue;
      const before = world.seenAt.get(id);
      world.seenAt.set(id, world.now);
      if (before === undefined || world.now - before >= world.policy.lostAfterMs) world.planner.noteHeard();
    }
  }

  #join(id: string): void {
    this.world.node(id, { memoryMb: 512, cpuMillis: 100_000, programs: ["node"] });
    this.#reported.add(id);
    this.world.planner.noteHeard();
  }

  #create(id: string): void {
    this.#releases += 1;
    const release = this.world.release(id, this.#releases, { memoryMb: 96 });
    this.world.app(id, 2, { currentRelease: release.id });
  }

  /** An instance runs that nobody placed. */
  #appear(appId: string, nodeId: string): void {
    this.#made += 1;
    const releaseId = this.world.index.get("app", appId)?.currentRelease ?? "none";
    const instanceId = `stray-${String(this.#made)}`;
    const [desired, reason, at] = ["running" as const, "", this.world.now];
    this.world.status(
      { instanceId, appId, releaseId, nodeId, desired, reason, createdAt: at, changedAt: at },
      {},
    );
  }
}

function refusalsOf(plan: Plan): Refusal[] {
  return [...plan.refused, ...plan.apps.flatMap((app) => app.refused)];
}

function codesOf(refusals: readonly Refusal[]): string[] {
  return refusals.map(({ appId, code }) => `${appId} ${code}`).sort();
}

/** One app's stops take the budget of inferred stops, and are not carried out: the other app's turn must come. */
const budgetTakenByAnother: Step[] = [
  { app: "blog", node: "a", pick: 0, do: "deploy" },
  { app: "shop", node: "a", pick: 8, do: "appear" },
  { app: "mail", node: "a", pick: 17, do: "appear" },
  { app: "mail", node: "a", pick: 0, do: "appear" },
  ...Array.from({ length: 4 }, (): Step => ({ app: "blog", node: "a", pick: 0, do: "deploy" })),
];

describe("planning from what changed", () => {
  test("comes to rest where a plan of everything finds nothing to do, whatever happened", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const story = new Story();
        for (const each of steps) story.act(each);
        story.settle();
      }),
      { numRuns: 400 },
    );
  });

  test("what a node's load is said to be is what is placed there", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const story = new Story();
        for (const each of steps) story.act(each);
        const { index } = story.world;
        for (const node of NODES) {
          const reserved = [...index.onNode(node)].flatMap((placement) => {
            if (index.get("instanceStatus", placement.instanceId)?.phase === "exited") return [];
            return index.get("release", placement.releaseId) ?? [];
          });
          expect(index.loadOf(node)).toEqual({
            memoryMb: reserved.reduce((sum, release) => sum + release.memoryMb, 0),
            cpuMillis: reserved.reduce((sum, release) => sum + release.cpuMillis, 0),
            instances: reserved.length,
          });
        }
      }),
      { numRuns: 100, examples: [[budgetTakenByAnother]] },
    );
  });

  test("looks at nothing when nothing changed, and at one app when that one did", () => {
    const world = new World();
    world.node("a");
    for (const app of APPS) {
      world.release(app, 1);
      world.app(app, 2);
    }
    while (world.step(world.planChanged())) world.agents();
    expect([...world.planChanged().looked]).toEqual([]);
    const app = world.app("mail", 3);
    const plan = world.planChanged();
    expect([...plan.looked]).toEqual([app.id]);
    expect(plan.apps[0]?.place).toHaveLength(1);
  });

  test("what was planned and not carried out is planned again", () => {
    const world = new World();
    world.node("a");
    world.release("blog", 1);
    world.app("blog", 2);
    const first = world.planChanged();
    expect(first.apps[0]?.place).toHaveLength(2);
    expect(world.planChanged()).toEqual(first);
  });

  describe("looks again at an app", () => {
    function settled(nodes: readonly string[], memoryMb = 512): World {
      const world = new World();
      for (const node of nodes) world.node(node, { memoryMb });
      for (const app of ["blog", "mail"]) {
        world.release(app, 1, { memoryMb: 200 });
        world.app(app, 1);
      }
      settle(world);
      return world;
    }

    function settle(world: World): void {
      while (world.step(world.planChanged())) world.agents();
      for (let i = 0; i < 3; i += 1) {
        world.agents();
        world.step(world.planChanged());
      }
    }

    function hear(world: World, ...nodes: readonly string[]): void {
      for (const node of nodes) world.seenAt.set(node, world.now);
    }

    test("that waits for room, when another's instance ends or a node grows", () => {
      const world = settled(["a"], 256);
      expect(world.placements("mail")).toEqual([]);
      world.app("blog", 1, { desired: "stopped" });
      settle(world);
      expect(world.placements("mail")).toHaveLength(1);
      world.app("blog", 1);
      settle(world);
      expect(world.placements("blog")).toEqual([]);
      world.node("a", { memoryMb: 512 });
      settle(world);
      expect(world.placements("blog")).toHaveLength(1);
    });

    test("that waits for room, in the order in which they began to wait", () => {
      const world = settled(["a"], 256);
      // One fits at a time: blog has it, and mail has waited before wiki and alfa come.
      for (const app of ["wiki", "alfa"]) {
        world.release(app, 1, { memoryMb: 200 });
        world.app(app, 1);
        settle(world);
      }
      for (const leaver of ["blog", "mail", "wiki", "alfa"]) {
        expect(world.placements(leaver).map(({ appId }) => appId)).toEqual([leaver]);
        // It comes back at once, and has to wait like everybody else.
        world.app(leaver, 1, { desired: "stopped" });
        world.step(world.planChanged());
        world.app(leaver, 1);
        settle(world);
      }
      expect(world.placements("blog")).toHaveLength(1);
    });

    test("that waits for room, when nothing could take it any more: the reason is another", () => {
      const world = settled(["a", "b"], 256);
      world.app("mail", 3);
      settle(world);
      expect(world.plan().apps.map(({ refused }) => refused[0]?.code)).toEqual(["no-capacity"]);
      for (const node of ["a", "b"]) {
        world.node(node, { memoryMb: 256, cordoned: true });
        const { looked, apps } = world.planChanged();
        expect([...looked].includes("mail")).toBe(node === "b");
        if (node === "b")
          expect(apps.flatMap(({ refused }) => refused.map(({ code }) => code))).toEqual(["no-node"]);
      }
    });

    test("whose drained instance routers know, when one acknowledges or is forgotten", () => {
      for (const letGo of ["acknowledge", "forget"]) {
        const world = settled(["a"]);
        world.put("router", { id: "r", address: "", registeredAt: 0 });
        world.held.add(world.placements("mail")[0]?.instanceId ?? "");
        world.app("mail", 0);
        settle(world);
        expect(world.placements("mail")[0]?.desired).toBe("draining");
        world.held.clear();
        expect(world.planChanged().looked.size).toBe(0);
        if (letGo === "forget") world.remove("router", "r");
        else world.planner.noteRouters();
        settle(world);
        expect(world.placements("mail")).toEqual([]);
      }
    });

    test("when its node is lost, heard of again, and taken away", () => {
      const world = settled(["a", "b", "c"]);
      const [node = ""] = world.placements("mail").map((placement) => placement.nodeId);
      const others = ["a", "b", "c"].filter((id) => id !== node);
      world.now += 100_000;
      hear(world, ...others);
      settle(world);
      expect(world.placements("mail")).toHaveLength(2);
      hear(world, node);
      world.planner.noteHeard();
      settle(world);
      expect(world.placements("mail")).toHaveLength(1);
      const [home = ""] = world.placements("mail").map((placement) => placement.nodeId);
      world.now += 100_000;
      hear(world, ...["a", "b", "c"].filter((id) => id !== home));
      settle(world);
      expect(world.placements("mail")).toHaveLength(2);
      world.remove("node", home);
      expect([...world.planChanged().looked]).toContain("mail");
    });

    test("and places nothing on a node that was cordoned meanwhile", () => {
      const world = settled(["a", "b"], 4096);
      const a = world.index.get("node", "a");
      if (a === undefined) throw new Error("no node");
      world.put("node", { ...a, cordoned: true });
      world.app("mail", 6);
      settle(world);
      const fresh = world.placements("mail").slice(1);
      expect(fresh.map((placement) => placement.nodeId)).toEqual(Array(5).fill("b"));
    });
  });

  describe("of a new leader", () => {
    test("waits for the nodes' first reports before it places what may run there, but not for long", () => {
      const world = new World();
      for (const node of ["a", "b"]) world.node(node);
      world.leaderSince = world.now;
      world.reported = new Set(["a"]);
      world.release("blog", 1);
      world.app("blog", 1);
      world.release("mail", 1, { createdAt: world.now + 1 });
      world.app("mail", 1);
      world.now += 5_000;
      const plan = world.planChanged();
      expect(refusalsOf(plan)).toMatchObject([{ appId: "blog", code: "nodes-not-reported" }]);
      expect(plan.apps.flatMap((app) => app.place).map((action) => action.appId)).toEqual(["mail"]);
      world.step(plan);
      world.agents();
      world.step(world.planChanged());
      const waiting = world.planChanged();
      expect(world.placements("blog")).toEqual([]);
      world.now = waiting.wakeAt ?? 0;
      expect(world.now).toBe(world.leaderSince + world.policy.firstReportMs);
      world.step(world.planChanged());
      expect(world.placements("blog")).toHaveLength(1);
    });

    test("adopts what the last node reports instead of starting one more", () => {
      const world = new World();
      world.node("a");
      world.leaderSince = world.now;
      world.reported = new Set();
      const release = world.release("blog", 1);
      world.app("blog", 1);
      while (world.step(world.planChanged())) continue;
      const found = { instanceId: "found", appId: "blog", releaseId: release.id, nodeId: "a" };
      world.status({ ...found, desired: "running", reason: "", createdAt: 0, changedAt: 0 }, {});
      world.reported.add("a");
      world.planner.noteHeard();
      while (world.step(world.planChanged())) continue;
      expect(world.placements("blog").map((placement) => placement.instanceId)).toEqual(["found"]);
    });

    describe("of which a node has said nothing yet, looks again once it has", () => {
      const says = (world: World, nodes: readonly string[]): void => {
        world.reported = new Set(nodes);
        world.planner.noteHeard();
        while (world.step(world.planChanged())) continue;
      };

      test("at an old release whose place only records say is taken", () => {
        const world = new World();
        for (const node of ["a", "b"]) world.node(node);
        world.release("blog", 1);
        world.app("blog", 1);
        world.converge();
        const next = world.release("blog", 2);
        world.app("blog", 1, { currentRelease: next.id });
        while (world.step(world.planChanged())) continue;
        const [fresh] = world.placements("blog").filter(({ releaseId }) => releaseId === next.id);
        if (fresh === undefined) throw new Error("nothing placed");
        says(world, [fresh.nodeId === "a" ? "b" : "a"]);
        world.agents();
        while (world.step(world.planChanged())) continue;
        const running = (): string[] =>
          world
            .placements("blog")
            .filter(({ desired }) => desired === "running")
            .map(({ releaseId }) => releaseId);
        expect(running().sort()).toEqual(["blog-r1", "blog-r2"]);
        says(world, ["a", "b"]);
        expect(running()).toEqual(["blog-r2"]);
      });

      test("at one too many that could not leave before it", () => {
        const world = new World();
        for (const node of ["a", "b", "c"]) world.node(node);
        world.release("blog", 1);
        world.app("blog", 3);
        world.converge();
        const [unheard, unready] = world.placements("blog");
        if (unheard === undefined || unready === undefined) throw new Error("nothing placed");
        says(
          world,
          ["a", "b", "c"].filter((id) => id !== unheard.nodeId),
        );
        world.status(unready, { ready: false });
        world.app("blog", 2);
        while (world.step(world.planChanged())) continue;
        const left = (): string[] =>
          world
            .placements("blog")
            .filter(({ desired }) => desired !== "running")
            .map(({ instanceId }) => instanceId);
        expect(left()).toEqual([]);
        says(world, ["a", "b", "c"]);
        expect(left()).toEqual([unready.instanceId]);
      });
    });
  });
});
