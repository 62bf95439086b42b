import type { InstanceId } from "../model/records.js";
import type { ClusterView } from "../plan/cluster-view.js";
import type { AppPlan, Plan, Refusal } from "../plan/plan.js";
import type { AppPlanView, PlanActionView, PlanRefusalView, PlanView } from "../platform/plan-views.js";

/** A plan in the words of the platform. `now` in milliseconds since the Unix epoch. */
export function planView(plan: Plan, view: ClusterView, now: number, isFresh: boolean): PlanView {
  return {
    revision: view.revision,
    at: now,
    fresh: isFresh,
    wakeAt: plan.wakeAt,
    apps: plan.apps.map((app) => appPlanView(app, view)),
    refused: plan.refused.map(refusalView),
  };
}

function appPlanView(plan: AppPlan, view: ClusterView): AppPlanView {
  return { app: plan.app.name, actions: actionsOf(plan, view), refused: plan.refused.map(refusalView) };
}

function actionsOf(plan: AppPlan, view: ClusterView): PlanActionView[] {
  const numberOf = (releaseId: string): number | null => view.get("release", releaseId)?.number ?? null;
  const ofInstance = (instance: InstanceId): Pick<PlanActionView, "instance" | "node" | "release"> => {
    const known = view.get("placement", instance) ?? view.get("instanceStatus", instance);
    return {
      instance,
      node: known?.nodeId ?? null,
      release: known === undefined ? null : numberOf(known.releaseId),
    };
  };
  return [
    ...plan.place.map(({ nodeId, releaseId, reason }) => ({
      type: "place" as const,
      instance: null,
      node: nodeId,
      release: numberOf(releaseId),
      reason,
    })),
    ...plan.move.map(({ placement, to, reason }) => ({
      type: to === "draining" ? ("drain" as const) : ("stop" as const),
      ...ofInstance(placement.instanceId),
      reason,
    })),
    ...plan.adopt.map(({ instanceId, reason }) => ({
      type: "adopt" as const,
      ...ofInstance(instanceId),
      reason,
    })),
    ...plan.forget.map(({ instanceId, reason }) => ({
      type: "forget" as const,
      ...ofInstance(instanceId),
      reason,
    })),
    ...plan.rollouts.map(({ number, state, reason }) => ({
      type: "rollout" as const,
      instance: null,
      node: null,
      release: number,
      reason: `${state}: ${reason}`,
    })),
    ...(plan.remove
      ? [{ type: "remove" as const, instance: null, node: null, release: null, reason: "it was deleted" }]
      : []),
  ];
}

function refusalView({ code, reason, retryAt }: Refusal): PlanRefusalView {
  return { code, reason, retryAt };
}
