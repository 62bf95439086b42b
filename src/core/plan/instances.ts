import type { App, InstanceStatus, NodeId, Placement } from "../model/records.js";
import type { ClusterView } from "./cluster-view.js";
import type { NodeHealth } from "./node-health.js";

/** A placement with what is known of its instance. */
export interface Instance {
  readonly placement: Placement;
  readonly status: InstanceStatus | undefined;
  readonly ready: boolean;
}

/** An app's instances, sorted by what planning does with them. */
export interface AppInstances {
  /** To be running, not ended, on a node that is not lost. */
  readonly live: readonly Instance[];
  /** To be running, and ended by themselves. */
  readonly failed: readonly Instance[];
  /** To be running, on a lost node: replaced elsewhere, their records kept. */
  readonly lost: readonly Instance[];
  readonly draining: readonly Instance[];
  readonly stopped: readonly Instance[];
  /** Reported by an agent, without a placement. */
  readonly orphans: readonly InstanceStatus[];
}

/** Sorts an app's placements and statuses; each list is in the order of creation, then of instance ids. */
export function sortInstances(
  app: App,
  view: ClusterView,
  health: ReadonlyMap<NodeId, NodeHealth>,
): AppInstances {
  const sorted = {
    live: [] as Instance[],
    failed: [] as Instance[],
    lost: [] as Instance[],
    draining: [] as Instance[],
    stopped: [] as Instance[],
    orphans: [] as InstanceStatus[],
  };
  const placements = [...view.of("placement", app.id)].sort(byAge);
  let placed = 0;
  for (const placement of placements) {
    const status = view.get("instanceStatus", placement.instanceId);
    if (status?.appId === app.id) placed += 1;
    const ready = status?.phase === "running" && status.ready;
    const instance: Instance = { placement, status, ready };
    if (placement.desired === "draining") sorted.draining.push(instance);
    else if (placement.desired === "stopped") sorted.stopped.push(instance);
    else if (status?.phase === "exited") sorted.failed.push(instance);
    else if (health.get(placement.nodeId) === "lost") sorted.lost.push({ ...instance, ready: false });
    else sorted.live.push(instance);
  }
  const statuses = [...view.of("instanceStatus", app.id)];
  // Nearly always every status has its placement, and none has to be looked up.
  if (statuses.length > placed) {
    sorted.orphans.push(
      ...statuses.filter(({ instanceId }) => view.get("placement", instanceId) === undefined),
    );
  }
  sorted.orphans.sort((a, b) => compare(a.instanceId, b.instanceId));
  return sorted;
}

function byAge(a: Placement, b: Placement): number {
  return a.createdAt - b.createdAt || compare(a.instanceId, b.instanceId);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
