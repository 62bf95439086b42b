import {
  type App,
  ClusterIndex,
  computePlan,
  defaultCheck,
  defaultPlanPolicy,
  type InstanceExit,
  type InstanceStatus,
  kindSchemas,
  type Kind,
  type Node,
  type Placement,
  type Plan,
  Planner,
  type PlanFacts,
  type PlanPolicy,
  type RecordChange,
  type RecordTypes,
  type Release,
} from "@dinp/core";
import { EventLog } from "../../src/core/loops/events.js";
import { writesOf } from "../../src/core/loops/plan-writes.js";

/** A cluster of records only: plans are carried out on it as the leader would, without any process. */
export class World {
  readonly index = new ClusterIndex();
  readonly policy: PlanPolicy;
  /** Is told of every change: it plans what {@link World.plan} does, from what changed. */
  readonly planner = new Planner(this.index);
  now = 1_000_000;
  fresh = true;
  recentInferredStops = 0;
  leaderSince = 0;
  readonly seenAt = new Map<string, number>();
  /** The nodes that have reported to this leader; null: all. */
  reported: Set<string> | null = null;
  /** Instances that a router still knows or has requests of. */
  readonly held = new Set<string>();
  #random = 1;
  readonly #source = { next: () => 0.5, bytes: (length: number) => this.#bytes(length) };
  readonly #log = new EventLog(this.#source);
  #seq = 0;

  constructor(policy: Partial<PlanPolicy> = {}) {
    this.policy = { ...defaultPlanPolicy, ...policy };
  }

  put<K extends Kind>(kind: K, value: RecordTypes[K]): void {
    const key = kindSchemas[kind].key(value);
    this.#apply({ kind, key, value } as RecordChange);
  }

  remove(kind: Kind, key: string): void {
    this.#apply({ kind, key, value: null });
  }

  node(id: string, change: Partial<Node> = {}): void {
    this.seenAt.set(id, this.now);
    this.put("node", {
      id,
      address: "127.0.0.1",
      memoryMb: 4096,
      cpuMillis: 4000,
      runtime: "process",
      programs: ["node"],
      labels: {},
      cordoned: false,
      registeredAt: 0,
      ...change,
    });
  }

  app(id: string, instances: number, change: Partial<App> = {}): App {
    const app: App = {
      id,
      name: id,
      teamId: "default",
      desired: "running",
      instances,
      currentRelease: `${id}-r1`,
      createdAt: 0,
      deletedAt: null,
      ...change,
    };
    this.put("app", app);
    return app;
  }

  release(appId: string, number: number, change: Partial<Release> = {}): Release {
    const release: Release = {
      id: `${appId}-r${String(number)}`,
      appId,
      number,
      image: { repository: appId, digest: `sha256:${"0".repeat(64)}` },
      template: "node",
      command: ["node", "server.js"],
      requires: ["node"],
      env: {},
      manifestEnv: {},
      memoryMb: 128,
      cpuMillis: 100,
      check: defaultCheck,
      stopGraceMs: 1000,
      drainMs: 5000,
      buildId: null,
      createdAt: 0,
      createdBy: "admin",
      note: "",
      ...change,
    };
    this.put("release", release);
    return release;
  }

  facts(): PlanFacts {
    return {
      fresh: this.fresh,
      leaderSince: this.leaderSince,
      nodeSeenAt: this.seenAt,
      isReported: (id) => this.reported?.has(id) ?? true,
      isDrained: (id) => !this.held.has(id),
      isUnrouted: (id) => !this.held.has(id),
      recentInferredStops: this.recentInferredStops,
    };
  }

  plan(): Plan {
    return computePlan(this.index, this.facts(), this.now, this.policy);
  }

  /** The plan of what changed. */
  planChanged(): Plan {
    return this.planner.plan(this.facts(), this.now, this.policy);
  }

  /** Carries one plan out; true when it changed anything. */
  step(plan: Plan = this.plan()): boolean {
    let changed = false;
    for (const app of plan.apps) {
      for (const write of writesOf(app, this.index, this.now, this.#source, this.#log)) {
        if (write.op === "put" && write.kind !== "event") {
          this.put(write.kind, write.value);
          changed = true;
        } else if (write.op === "delete") {
          this.remove(write.kind, write.key);
          changed = true;
        }
      }
    }
    return changed;
  }

  /** Plans and carries out until nothing changes; throws when that takes more than `most` rounds. */
  settle(most = 50): void {
    for (let i = 0; i < most; i += 1) if (!this.step()) return;
    throw new Error(`no fixpoint after ${String(most)} plans`);
  }

  placements(appId: string): Placement[] {
    return [...this.index.of("placement", appId)];
  }

  status(placement: Placement, change: Partial<InstanceStatus>): void {
    this.#seq += 1;
    const known = this.index.get("instanceStatus", placement.instanceId);
    this.put("instanceStatus", {
      instanceId: placement.instanceId,
      appId: placement.appId,
      releaseId: placement.releaseId,
      nodeId: placement.nodeId,
      phase: "running",
      ready: false,
      readyAt: null,
      endpoint: { instanceId: placement.instanceId, host: "127.0.0.1", port: 20_000 },
      startedAt: this.now,
      reason: "",
      exit: null,
      ...known,
      seq: this.#seq,
      ...change,
    });
  }

  ready(placement: Placement): void {
    const known = this.index.get("instanceStatus", placement.instanceId);
    this.status(placement, { phase: "running", ready: true, readyAt: known?.readyAt ?? this.now });
  }

  exit(placement: Placement, exit: Partial<InstanceExit> = {}): void {
    const full: InstanceExit = {
      at: this.now,
      cause: "exited",
      code: 1,
      signal: null,
      message: "exited with code 1",
      logTail: ["boom"],
      ...exit,
    };
    this.status(placement, { phase: "exited", ready: false, exit: full });
  }

  /** What the agents do at once: everything wanted becomes ready, everything stopped ends. */
  agents(): void {
    for (const placement of [...this.index.all("placement")]) {
      const status = this.index.get("instanceStatus", placement.instanceId);
      if (placement.desired === "stopped" && status?.phase !== "exited")
        this.exit(placement, { cause: "stopped" });
      else if (placement.desired === "running" && status?.ready !== true && status?.phase !== "exited") {
        this.ready(placement);
      }
    }
  }

  /** Plans and agents in turn until nothing changes. */
  converge(most = 100): void {
    for (let i = 0; i < most; i += 1) {
      const changed = this.step();
      const before = this.index.revision;
      this.agents();
      if (!changed && before === this.index.revision) return;
    }
    throw new Error(`did not converge in ${String(most)} rounds`);
  }

  readyCount(appId: string): number {
    return this.placements(appId).filter((placement) => {
      const status = this.index.get("instanceStatus", placement.instanceId);
      return placement.desired === "running" && status?.phase === "running" && status.ready;
    }).length;
  }

  #apply(change: RecordChange): void {
    this.planner.note(this.index.apply(this.index.revision + 1, [change]));
  }

  #bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 1) {
      this.#random = (this.#random * 1_103_515_245 + 12_345) % 2_147_483_648;
      bytes[i] = (this.#random >>> 8) & 255;
    }
    return bytes;
  }
}
