import type {
  App,
  AppId,
  CrashRecord,
  InstanceId,
  NodeId,
  Placement,
  ReleaseId,
  Rollout,
} from "../model/records.js";

/** Start one more instance of a release on a node. Its id is given by whoever carries the plan out. */
export interface PlaceAction {
  readonly appId: AppId;
  readonly releaseId: ReleaseId;
  readonly nodeId: NodeId;
  readonly reason: string;
}

/** Moves a placement forward: off the route (`draining`), or to its end (`stopped`). */
export interface MoveAction {
  readonly placement: Placement;
  readonly to: "draining" | "stopped";
  readonly reason: string;
}

/** An instance that ended and that no router knows: its records may go, and its port. */
export interface ForgetAction {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  readonly reason: string;
}

/** A running instance without a placement gets one: to stay (`running`), or to go in order. */
export interface AdoptAction {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  readonly releaseId: ReleaseId;
  readonly nodeId: NodeId;
  readonly desired: "running" | "draining";
  /** True when nobody named this stop: it counts against the budget of inferred stops. */
  readonly inferredStop: boolean;
  readonly reason: string;
}

export type RefusalCode =
  | "no-node"
  | "no-capacity"
  | "crash-backoff"
  | "release-missing"
  | "nodes-not-reported"
  | "orphan-of-unknown-app"
  | "inferred-stop-budget"
  | "view-not-fresh";

/** Something that was wanted and not done. */
export interface Refusal {
  readonly appId: AppId;
  readonly code: RefusalCode;
  readonly reason: string;
  /** When it will be tried again by itself; null when something else has to change first. */
  readonly retryAt: number | null;
}

/** What one app needs done: one commit, so that no app's trouble holds another up. */
export interface AppPlan {
  readonly app: App;
  readonly place: readonly PlaceAction[];
  readonly move: readonly MoveAction[];
  readonly forget: readonly ForgetAction[];
  readonly adopt: readonly AdoptAction[];
  /** Rollout records to write. */
  readonly rollouts: readonly Rollout[];
  /** Crash records to write. */
  readonly crashes: readonly CrashRecord[];
  /** The app is deleted and nothing of it runs: its records may go. */
  readonly remove: boolean;
  readonly refused: readonly Refusal[];
}

/** What the whole cluster needs done. */
export interface Plan {
  /** The apps that were looked at; what earlier plans of the same planner said of others still holds. */
  readonly looked: ReadonlySet<AppId>;
  /** Only apps with something to do or refused, in a fixed order (by app id). */
  readonly apps: readonly AppPlan[];
  /** What concerns apps that have no record. */
  readonly refused: readonly Refusal[];
  /** When time alone will change the plan; null when it will not. */
  readonly wakeAt: number | null;
}

/** What planning must know besides the records. */
export interface PlanFacts {
  /** False when the view may be short or stale: then nothing is drained, stopped, forgotten or removed. */
  readonly fresh: boolean;
  readonly leaderSince: number;
  /** When each node was last heard of by this leader. */
  readonly nodeSeenAt: Pick<ReadonlyMap<NodeId, number>, "get">;
  /** True while the node is connected to this leader and has told all that runs there. Absent: all nodes count as reported. */
  readonly isReported?: (nodeId: NodeId) => boolean;
  /**
   * When this leader first saw that the instance is to drain: its drain counts from then, since it stayed routed until then.
   * Absent, or undefined: from when that was decided.
   */
  readonly drainSeenAt?: (instanceId: InstanceId) => number | undefined;
  /** Every registered router routes by a table without the instance, and none has a request of it in flight. */
  readonly isDrained: (instanceId: InstanceId) => boolean;
  /** Every registered router has acknowledged a table without the instance. */
  readonly isUnrouted: (instanceId: InstanceId) => boolean;
  /** Inferred stops within the policy's window. */
  readonly recentInferredStops: number;
}

/** Keeps the earliest of the times that it is told. */
export class WakeTime {
  #at: number | null = null;

  get at(): number | null {
    return this.#at;
  }

  by(time: number): void {
    if (this.#at === null || time < this.#at) this.#at = time;
  }
}
