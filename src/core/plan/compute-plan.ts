import type { ClusterView } from "./cluster-view.js";
import type { Plan, PlanFacts } from "./plan.js";
import { Planner } from "./planner.js";
import type { PlanPolicy } from "./policy.js";

/**
 * What must be done to bring the observed state to the desired one: every app by itself, in the order of ids.
 * Pure: the same view, facts, time and policy give the same plan. A plan without actions means that nothing is left to
 * do until `wakeAt` or the next change. Looks at everything; {@link Planner} looks at what changed.
 */
export function computePlan(view: ClusterView, facts: PlanFacts, now: number, policy: PlanPolicy): Plan {
  return new Planner(view).plan(facts, now, policy);
}
