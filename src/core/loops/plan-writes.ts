import { newId } from "../model/ids.js";
import { domainKey } from "../model/kinds.js";
import type { InstanceId, InstanceStatus, Placement } from "../model/records.js";
import { isNobodysFault } from "../plan/app-plan.js";
import type { AppPlan, MoveAction } from "../plan/plan.js";
import type { ClusterView } from "../plan/cluster-view.js";
import { routerRegistrationsKey } from "../model/router-registrations.js";
import type { Write } from "../ports/state-store.js";
import type { Random } from "../ports/system.js";
import type { EventDraft, EventLog } from "./events.js";

/**
 * The commit that carries one app's plan out: compare-and-set on all that the plan was made from, so that a plan from
 * an older view is refused as a whole. Each action also appends its event.
 */
export function writesOf(
  plan: AppPlan,
  view: ClusterView,
  now: number,
  random: Random,
  log: EventLog,
): readonly Write[] {
  const appName = plan.app.name;
  const appId = plan.app.id;
  const event = (draft: EventDraft): Write => log.write(now, { appId, appName, ...draft });
  const writes: Write[] = [
    ...placements(plan, now, random, event),
    ...moves(plan, view, now, event),
    ...adoptions(plan, now, event),
    ...forgets(plan, view),
    ...outcomes(plan, view, event),
  ];
  if (plan.remove)
    return [...removal(plan, view), event({ type: "app.removed", message: `${appName} is gone` })];
  if (writes.length > 0) {
    writes.push({ op: "check", kind: "app", key: appId, ifRevision: view.revisionOf("app", appId) });
    writes.push(...verdicts(plan, view));
  }
  return writes;
}

/**
 * What an instance is retired for must still hold: that it has not served (it would be stopped undrained), and, when
 * others make up for one that serves, that those do.
 */
function verdicts(plan: AppPlan, view: ClusterView): Write[] {
  const retired = plan.move.map(({ placement }) => placement).filter(({ desired }) => desired === "running");
  const relied = new Set(retired.map(({ instanceId }) => instanceId));
  const isHeld = plan.app.deletedAt === null && plan.app.desired === "running";
  if (isHeld && retired.some(({ instanceId }) => isReady(view, instanceId))) {
    for (const { instanceId, desired } of view.of("placement", plan.app.id)) {
      if (desired === "running" && isReady(view, instanceId)) relied.add(instanceId);
    }
  }
  return [...relied].map((key): Write => {
    const known = view.revisionOf("instanceStatus", key);
    return { op: "check", kind: "instanceStatus", key, ifRevision: known === 0 ? "absent" : known };
  });
}

function isReady(view: ClusterView, instanceId: InstanceId): boolean {
  return view.get("instanceStatus", instanceId)?.ready === true;
}

type MakeEvent = (draft: EventDraft) => Write;

function placements(plan: AppPlan, now: number, random: Random, event: MakeEvent): Write[] {
  return plan.place.flatMap((action): Write[] => {
    const placement: Placement = {
      instanceId: newId(random, "i"),
      appId: action.appId,
      releaseId: action.releaseId,
      nodeId: action.nodeId,
      desired: "running",
      reason: action.reason,
      createdAt: now,
      changedAt: now,
    };
    const { instanceId, nodeId } = placement;
    return [
      { op: "put", kind: "placement", value: placement, ifRevision: "absent" },
      event({ type: "instance.placed", instanceId, nodeId, message: action.reason }),
    ];
  });
}

/** A placement that two rules move in one plan goes as far as either says. */
function moves(plan: AppPlan, view: ClusterView, now: number, event: MakeEvent): Write[] {
  const farthest = new Map<string, MoveAction>();
  for (const move of plan.move) {
    const id = move.placement.instanceId;
    if (farthest.get(id)?.to !== "stopped") farthest.set(id, move);
  }
  return [...farthest.values()].flatMap((move): Write[] => {
    const { instanceId, nodeId } = move.placement;
    const type = eventTypeOf(move, view.get("instanceStatus", instanceId));
    return [
      {
        op: "put",
        kind: "placement",
        value: { ...move.placement, desired: move.to, reason: move.reason, changedAt: now },
        ifRevision: view.revisionOf("placement", instanceId),
      },
      event({ type, instanceId, nodeId, message: move.reason }),
    ];
  });
}

/** An instance that ended by itself failed, unless it ended with the platform. */
function eventTypeOf(move: MoveAction, status: InstanceStatus | undefined): string {
  if (status?.exit != null && move.placement.desired === "running") {
    return isNobodysFault(status.exit) ? "instance.ended" : "instance.failed";
  }
  return move.to === "draining" ? "instance.draining" : "instance.stopping";
}

function adoptions(plan: AppPlan, now: number, event: MakeEvent): Write[] {
  return plan.adopt.flatMap((action): Write[] => {
    const { instanceId, appId, releaseId, nodeId, desired, reason } = action;
    const value = { instanceId, appId, releaseId, nodeId, desired, reason, createdAt: now, changedAt: now };
    return [
      { op: "put", kind: "placement", value, ifRevision: "absent" },
      event({ type: "instance.adopted", instanceId, nodeId, message: reason }),
    ];
  });
}

function forgets(plan: AppPlan, view: ClusterView): Write[] {
  if (plan.forget.length === 0) return [];
  const deletions = plan.forget.flatMap(({ instanceId }): Write[] => {
    const placed = view.revisionOf("placement", instanceId);
    const reported = view.revisionOf("instanceStatus", instanceId);
    const writes: Write[] = [];
    if (placed > 0) writes.push({ op: "delete", kind: "placement", key: instanceId, ifRevision: placed });
    if (reported > 0)
      writes.push({ op: "delete", kind: "instanceStatus", key: instanceId, ifRevision: reported });
    return writes;
  });
  return [...deletions, noOtherRouter(view)];
}

/** All routers have let go of the ports: those that the view knows. Another one may have read a table that had them. */
function noOtherRouter(view: ClusterView): Write {
  const key = routerRegistrationsKey;
  const known = view.revisionOf("setting", key);
  return { op: "check", kind: "setting", key, ifRevision: known === 0 ? "absent" : known };
}

function outcomes(plan: AppPlan, view: ClusterView, event: MakeEvent): Write[] {
  const writes: Write[] = [];
  for (const crash of plan.crashes) {
    const known = view.revisionOf("crash", crash.releaseId);
    writes.push({ op: "put", kind: "crash", value: crash, ifRevision: known === 0 ? "absent" : known });
  }
  for (const rollout of plan.rollouts) {
    const known = view.revisionOf("rollout", rollout.releaseId);
    writes.push({ op: "put", kind: "rollout", value: rollout, ifRevision: known === 0 ? "absent" : known });
    const type = rollout.state === "running" ? "rollout.started" : `rollout.${rollout.state}`;
    writes.push(event({ type, message: `release ${String(rollout.number)}: ${rollout.reason}` }));
  }
  return writes;
}

function removal(plan: AppPlan, view: ClusterView): Write[] {
  const id = plan.app.id;
  const writes: Write[] = [{ op: "delete", kind: "app", key: id, ifRevision: view.revisionOf("app", id) }];
  for (const release of view.of("release", id)) {
    writes.push({ op: "delete", kind: "release", key: release.id });
    writes.push({ op: "delete", kind: "crash", key: release.id });
  }
  for (const rollout of view.of("rollout", id)) {
    writes.push({ op: "delete", kind: "rollout", key: rollout.releaseId });
  }
  for (const domain of view.of("domain", id)) {
    writes.push({ op: "delete", kind: "domain", key: domainKey(domain.host, domain.path) });
  }
  return writes;
}
