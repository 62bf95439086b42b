import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { World } from "./world.js";

type Command =
  | { readonly do: "scale"; readonly to: number }
  | { readonly do: "deploy" }
  | { readonly do: "stop" }
  | { readonly do: "start" }
  | { readonly do: "exit"; readonly pick: number; readonly cause: "exited" | "memory" | "start" | "stopped" }
  | { readonly do: "unready"; readonly pick: number }
  | { readonly do: "agents" }
  | { readonly do: "plan" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "silence"; readonly node: number }
  | { readonly do: "hear"; readonly node: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant("scale" as const), to: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ do: fc.constant("deploy" as const) }),
  fc.record({ do: fc.constant("stop" as const) }),
  fc.record({ do: fc.constant("start" as const) }),
  fc.record({
    do: fc.constant("exit" as const),
    pick: fc.nat(20),
    cause: fc.constantFrom("exited" as const, "memory" as const, "start" as const, "stopped" as const),
  }),
  fc.record({ do: fc.constant("unready" as const), pick: fc.nat(20) }),
  fc.record({ do: fc.constant("agents" as const) }),
  fc.record({ do: fc.constant("plan" as const) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(10, 1_000, 20_000, 120_000) }),
  fc.record({ do: fc.constant("silence" as const), node: fc.nat(3) }),
  fc.record({ do: fc.constant("hear" as const), node: fc.nat(3) }),
);

const NODES = ["a", "b", "c", "d"];

/** A cluster under random commands; `act` returns whether the platform itself acted. */
class Story {
  readonly world = new World();
  readonly #silent = new Set<string>();
  #release = 1;

  constructor() {
    for (const node of NODES) this.world.node(node);
    this.world.release("web", 1);
    this.world.app("web", 3);
    this.world.converge();
  }

  get app() {
    const app = this.world.index.get("app", "web");
    if (app === undefined) throw new Error("the app is gone");
    return app;
  }

  act(step: Command): void {
    const { world } = this;
    for (const node of NODES) if (!this.#silent.has(node)) world.seenAt.set(node, world.now);
    switch (step.do) {
      case "scale":
        world.put("app", { ...this.app, instances: step.to });
        return;
      case "deploy":
        this.#release += 1;
        world.release("web", this.#release);
        world.put("app", { ...this.app, currentRelease: `web-r${String(this.#release)}` });
        return;
      case "stop":
      case "start":
        world.put("app", { ...this.app, desired: step.do === "stop" ? "stopped" : "running" });
        return;
      case "exit": {
        const alive = this.#alive();
        const chosen = alive[step.pick % Math.max(1, alive.length)];
        if (chosen !== undefined) world.exit(chosen, { cause: step.cause });
        return;
      }
      case "unready": {
        const alive = this.#alive();
        const chosen = alive[step.pick % Math.max(1, alive.length)];
        if (chosen !== undefined) world.status(chosen, { phase: "running", ready: false });
        return;
      }
      case "agents":
        world.agents();
        return;
      case "wait":
        world.now += step.ms;
        return;
      case "silence":
        this.#silent.add(NODES[step.node] ?? "a");
        return;
      case "hear":
        this.#silent.delete(NODES[step.node] ?? "a");
        return;
      case "plan":
        this.#planSafely();
    }
  }

  /** Faults end, nodes return, time passes: everything must come to rest as wanted. */
  recover(): void {
    const { world } = this;
    this.#silent.clear();
    for (let i = 0; i < 60; i += 1) {
      world.now += 400_000;
      for (const node of NODES) world.seenAt.set(node, world.now);
      world.converge();
    }
  }

  /** No plan takes ready instances away below the wanted number, and none runs more than a rollout may. */
  #planSafely(): void {
    const { world, app } = this;
    const before = world.readyCount("web");
    world.step();
    if (app.desired !== "running") return;
    expect(world.readyCount("web")).toBeGreaterThanOrEqual(Math.min(before, app.instances));
    const ids = world.placements("web").map((placement) => placement.instanceId);
    expect(new Set(ids).size).toBe(ids.length);
  }

  #alive() {
    return this.world.placements("web").filter((placement) => {
      const phase = this.world.index.get("instanceStatus", placement.instanceId)?.phase;
      return phase !== undefined && phase !== "exited";
    });
  }
}

describe("random stories", () => {
  test("no plan takes away what serves, and after the faults the wanted number is ready and nothing is left to do", () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 5, maxLength: 60 }), (commands) => {
        const story = new Story();
        for (const step of commands) story.act(step);
        story.recover();
        const { world, app } = story;
        expect(world.readyCount("web")).toBe(app.desired === "running" ? app.instances : 0);
        expect(world.placements("web")).toHaveLength(app.desired === "running" ? app.instances : 0);
        expect(world.plan().apps).toEqual([]);
        const open = [...world.index.of("rollout", "web")].filter((rollout) => rollout.state === "running");
        expect(open).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("the same view, facts and time give the same plan", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        const story = new Story();
        for (const step of commands) story.act(step);
        expect(story.world.plan()).toEqual(story.world.plan());
      }),
      { numRuns: 100 },
    );
  });
});
