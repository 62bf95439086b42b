import type { AppId } from "../model/records.js";
import { planApp, type PlanContext } from "./app-plan.js";
import { CapacityLedger } from "./capacity.js";
import type { ClusterView } from "./cluster-view.js";
import { judgeNodes } from "./node-health.js";
import { type AppPlan, type Plan, type PlanFacts, type Refusal, WakeTime } from "./plan.js";
import type { PlanPolicy } from "./policy.js";

/**
 * What must be done to bring the observed state to the desired one: every app by itself, in the order of ids.
 * Pure: the same view, facts, time and policy give the same plan. An empty plan means that nothing is left to do until
 * `wakeAt` or the next change.
 */
export function computePlan(view: ClusterView, facts: PlanFacts, now: number, policy: PlanPolicy): Plan {
  const wake = new WakeTime();
  const health = judgeNodes([...view.all("node")], facts, now, policy, wake);
  const context: PlanContext = {
    view,
    facts,
    now,
    policy,
    health,
    ledger: new CapacityLedger(view, health),
    wake,
    budget: { inferredStops: policy.inferredStopsMax - facts.recentInferredStops },
  };
  const apps: AppPlan[] = [];
  for (const app of [...view.all("app")].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const plan = planApp(app, context);
    if (!isEmpty(plan)) apps.push(plan);
  }
  return { apps, refused: unknownOrphans(view), wakeAt: wake.at };
}

function isEmpty(plan: AppPlan): boolean {
  const { place, move, forget, adopt, rollouts, crashes, refused } = plan;
  const lists: readonly (readonly unknown[])[] = [place, move, forget, adopt, rollouts, crashes, refused];
  return !plan.remove && lists.every((list) => list.length === 0);
}

/** Instances whose app has no record: absence is no tombstone, so they are kept and named. */
function unknownOrphans(view: ClusterView): readonly Refusal[] {
  const kept = new Map<AppId, number>();
  for (const status of view.all("instanceStatus")) {
    if (status.phase === "exited" || view.get("app", status.appId) !== undefined) continue;
    kept.set(status.appId, (kept.get(status.appId) ?? 0) + 1);
  }
  return [...kept].map(([appId, count]) => ({
    appId,
    code: "orphan-of-unknown-app" as const,
    reason: `${String(count)} running instances of ${appId}, which has no record, are kept`,
    retryAt: null,
  }));
}
