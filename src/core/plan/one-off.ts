import type { NodeId, Release } from "../model/records.js";
import { CapacityLedger, type Fit } from "./capacity.js";
import type { ClusterView } from "./cluster-view.js";
import { judgeNodes } from "./node-health.js";
import { type PlanFacts, WakeTime } from "./plan.js";
import type { PlanPolicy } from "./policy.js";

/** A one-off that runs now, and what it holds. */
export interface OneOff {
  readonly nodeId: NodeId;
  readonly release: Release;
}

/** The node for a one-off of the release: as for one more instance, beside what `running` one-offs hold. */
export function fitOneOff(
  release: Release,
  running: Iterable<OneOff>,
  view: ClusterView,
  facts: PlanFacts,
  now: number,
  policy: PlanPolicy,
): Fit {
  const health = judgeNodes([...view.all("node")], facts, now, policy, new WakeTime());
  const ledger = new CapacityLedger(view, health);
  for (const { nodeId, release: held } of running) ledger.reserve(nodeId, held);
  return ledger.fit(release);
}
