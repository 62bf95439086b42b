import type { App, CrashRecord, InstanceStatus, Placement, Rollout } from "../model/records.js";
import type { AppState } from "./views.js";

/** What an app's state is judged by. */
export interface AppFacts {
  readonly app: App;
  readonly placements: readonly Placement[];
  readonly statuses: ReadonlyMap<string, InstanceStatus>;
  /** Of the current release; null before the leader took it up. */
  readonly rollout: Rollout | null;
  /** Of the current release. */
  readonly crash: CrashRecord | null;
}

/** Instances that belong on the route and answer, whatever their release. */
export function countReady(facts: Pick<AppFacts, "placements" | "statuses">): number {
  return facts.placements.filter(
    (placement) =>
      placement.desired === "running" && facts.statuses.get(placement.instanceId)?.ready === true,
  ).length;
}

/** The one word for what the app is doing. */
export function appState(facts: AppFacts): AppState {
  const { app } = facts;
  if (app.deletedAt !== null) return "deleting";
  if (app.currentRelease === null) return "empty";
  if (app.desired === "stopped" || app.instances === 0) {
    return facts.placements.every(({ instanceId }) => hasEnded(facts, instanceId)) ? "stopped" : "stopping";
  }
  const ready = countReady(facts);
  const crashing = facts.crash !== null && facts.crash.failures > 0;
  if (crashing && ready === 0) return "crashing";
  if (facts.rollout === null || facts.rollout.state === "running") {
    return isReplacing(facts, app.currentRelease) ? "deploying" : "starting";
  }
  if (ready >= app.instances) return "running";
  return ready === 0 && !crashing && hasNeverAnswered(facts) ? "starting" : "degraded";
}

/** One of which the port is only not free yet, because a router has not acknowledged, is over all the same. */
function hasEnded({ statuses }: AppFacts, instanceId: string): boolean {
  return statuses.get(instanceId)?.phase === "exited";
}

/** True while instances of another release still serve, or wait to be replaced. */
function isReplacing(facts: AppFacts, currentRelease: string): boolean {
  return facts.placements.some((placement) => placement.releaseId !== currentRelease);
}

/** True when no instance that should run was ever ready: they are on their way up, not broken. */
function hasNeverAnswered(facts: AppFacts): boolean {
  return facts.placements.every((placement) => {
    const status = facts.statuses.get(placement.instanceId);
    return placement.desired !== "running" || status === undefined || status.readyAt === null;
  });
}
