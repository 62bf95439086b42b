import type { Node, NodeId } from "../model/records.js";
import type { PlanFacts, WakeTime } from "./plan.js";
import type { PlanPolicy } from "./policy.js";

/** `silent` nodes get nothing new; the instances of `lost` ones are replaced elsewhere. */
export type NodeHealth = "live" | "silent" | "lost";

/**
 * Judges every node by when it was last heard of. A node that this leader has never heard of counts from the moment it
 * began to lead. None is lost within the leader's grace time, or when more than `silentShareMax` of all are silent.
 */
export function judgeNodes(
  nodes: readonly Node[],
  facts: PlanFacts,
  now: number,
  policy: PlanPolicy,
  wake: WakeTime,
): ReadonlyMap<NodeId, NodeHealth> {
  const health = new Map<NodeId, NodeHealth>();
  const silent: NodeId[] = [];
  const graceEndsAt = facts.leaderSince + policy.leaderGraceMs;
  for (const node of nodes) {
    const seenAt = facts.nodeSeenAt.get(node.id) ?? facts.leaderSince;
    const silentAt = seenAt + policy.lostAfterMs;
    if (now < silentAt) {
      health.set(node.id, "live");
      wake.by(silentAt);
    } else {
      health.set(node.id, "silent");
      silent.push(node.id);
    }
  }
  if (silent.length === 0) return health;
  if (now < graceEndsAt) {
    wake.by(graceEndsAt);
    return health;
  }
  if (silent.length > nodes.length * policy.silentShareMax) return health;
  for (const id of silent) health.set(id, "lost");
  return health;
}
