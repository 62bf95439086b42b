import {
  type App,
  ClusterIndex,
  defaultPlanPolicy,
  type Plan,
  type PlanFacts,
  Planner,
  type RecordChange,
  type Stored,
} from "@dinp/core";
import { appId, carriedOut, nodeId, placementOf, T0, wanted } from "./cluster.js";
import { median } from "../lib/bench.js";
import type { Sizes } from "./sizes.js";

/** By name: the value and its unit. */
export type Measured = Record<string, readonly [value: number, unit: string]>;

const CHANGES = 20;

/** Measures planning in this process, which should have done nothing else. */
export function measurePlanning(sizes: Sizes, collect: () => void): Measured {
  const measured: Measured = {};
  const leader = new Leader(sizes);
  let records: Stored[] = wanted(sizes);
  leader.take(records);
  const placing = cpuMs(() => leader.plan());
  measured["place everything"] = [placing.ms, "ms"];
  const actions = placing.value.apps.flatMap((app) => app.place);
  if (actions.length !== sizes.instances) throw new Error(`only ${String(actions.length)} were placed`);
  records = [...records, ...carriedOut(actions)];

  collect();
  const before = memoryMib();
  const yardstick = walk(records);
  const walkMs = Math.min(...[1, 2, 3].map(() => cpuMs(() => walk(records)).ms));
  measured["yardstick: copy into maps and walk"] = [walkMs, "ms"];
  collect();
  const loading = cpuMs(() => {
    leader.take(records);
  });
  measured["index the snapshot"] = [loading.ms, "ms"];
  const first = cpuMs(() => leader.plan());
  expectNothing(first.value);
  measured["first full plan"] = [first.ms, "ms"];
  measured["first full plan / yardstick"] = [first.ms / walkMs, "x"];
  collect();
  const after = memoryMib();
  measured["index and planner"] = [after.heap - before.heap, "MiB"];
  measured["heap with the records"] = [after.heap, "MiB"];
  measured["resident"] = [after.resident, "MiB"];

  measured["no change"] = [
    median(
      times(CHANGES, () => {
        expectNothing(leader.plan());
      }),
    ),
    "ms",
  ];
  measured["one app changed"] = [
    median(
      times(CHANGES, (i) => {
        leader.scaleUp(i % sizes.apps);
      }),
    ),
    "ms",
  ];
  const lost = wallMs(() => leader.loseNode(0));
  measured["one node lost"] = [lost.ms, "ms"];
  measured["one node lost: instances placed elsewhere"] = [lost.value, ""];
  if (yardstick !== records.length) throw new Error("the yardstick walked over other records");
  return measured;
}

/** The leader's part of planning. */
class Leader {
  readonly #index = new ClusterIndex();
  readonly #planner = new Planner(this.#index);
  readonly #seenAt = new Map<string, number>();
  #now = T0 + 1_000;
  #made = 0;

  constructor(sizes: Sizes) {
    for (let n = 0; n < sizes.nodes; n += 1) this.#seenAt.set(nodeId(n), this.#now);
  }

  take(records: readonly Stored[]): void {
    this.#index.reset({ revision: 2, records });
    this.#planner.note(null);
  }

  plan(): Plan {
    return this.#planner.plan(this.#facts(), this.#now, defaultPlanPolicy);
  }

  /** One app gets one more instance: what was changed is seen, planned and carried out. */
  scaleUp(a: number): void {
    const app = this.#index.get("app", appId(a));
    if (app === undefined) throw new Error("no such app");
    const value: App = { ...app, instances: app.instances + 1 };
    this.#apply({ kind: "app", key: value.id, value });
    const [action, ...others] = this.plan().apps.flatMap((each) => each.place);
    if (action === undefined || others.length > 0) throw new Error("not one instance was placed");
    this.#made += 1;
    const placement = placementOf(`i-made-${String(this.#made)}`, action);
    this.#apply({ kind: "placement", key: placement.instanceId, value: placement });
    expectNothing(this.plan());
  }

  #apply(change: RecordChange): void {
    this.#planner.note(this.#index.apply(this.#index.revision + 1, [change]));
  }

  /** A node falls silent for good; returns how many of its instances were placed elsewhere. */
  loseNode(n: number): number {
    this.#now += 1_000_000;
    for (const id of this.#seenAt.keys()) if (id !== nodeId(n)) this.#seenAt.set(id, this.#now);
    return this.plan().apps.flatMap((app) => app.place).length;
  }

  #facts(): PlanFacts {
    return {
      fresh: true,
      leaderSince: T0,
      nodeSeenAt: this.#seenAt,
      isDrained: () => true,
      isUnrouted: () => true,
      recentInferredStops: 0,
    };
  }
}

function expectNothing(plan: Plan): void {
  if (plan.apps.length > 0) throw new Error("a converged cluster has something to do");
}

/** What any planner has to do at least: take every record in by its key, and look at each once. */
function walk(records: readonly Stored[]): number {
  const maps = new Map<string, Map<string, Stored>>();
  for (const record of records) {
    const map = maps.get(record.kind);
    if (map === undefined) maps.set(record.kind, new Map([[record.key, record]]));
    else map.set(record.key, record);
  }
  let seen = 0;
  for (const map of maps.values()) for (const record of map.values()) if (record.revision > 0) seen += 1;
  return seen;
}

function cpuMs<T>(work: () => T): { readonly ms: number; readonly value: T } {
  const start = process.cpuUsage();
  const value = work();
  const { user, system } = process.cpuUsage(start);
  return { ms: (user + system) / 1000, value };
}

function wallMs<T>(work: () => T): { readonly ms: number; readonly value: T } {
  const start = performance.now();
  const value = work();
  return { ms: performance.now() - start, value };
}

function times(count: number, work: (i: number) => void): number[] {
  return Array.from(
    { length: count },
    (_, i) =>
      wallMs(() => {
        work(i);
      }).ms,
  );
}

function memoryMib(): { readonly heap: number; readonly resident: number } {
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed / 2 ** 20, resident: rss / 2 ** 20 };
}
