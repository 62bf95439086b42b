import type { App, CrashRecord, Release, Rollout } from "../model/records.js";
import type { ClusterView } from "./cluster-view.js";
import type { AppInstances } from "./instances.js";
import type { WakeTime } from "./plan.js";
import type { PlanPolicy } from "./policy.js";

/** The release that the app's instances should be of, and the rollout records that this judgement changes. */
export interface Target {
  readonly release: Release | null;
  /** Why it is not the current release; null when it is. */
  readonly fallback: string | null;
  readonly rollouts: readonly Rollout[];
}

/**
 * Decides which release to run, and whether the current one's rollout has ended.
 * A failed rollout leaves desired state as it is: the app goes back to its last good release, and stays there until
 * the user makes a new one. Without a good one the failed release is tried on, with the crash backoff.
 */
export function judgeRollout(
  app: App,
  current: Release,
  instances: AppInstances,
  crash: CrashRecord | undefined,
  view: ClusterView,
  now: number,
  policy: PlanPolicy,
  wake: WakeTime,
): Target {
  const known = view.get("rollout", current.id);
  const changed = supersedeOlder(app, current, view, now);
  const rollout: Rollout = known ?? {
    releaseId: current.id,
    appId: app.id,
    number: current.number,
    state: "running",
    startedAt: now,
    endedAt: null,
    reason: `waiting for ${counted(app.instances, "ready instance")}`,
    logTail: [],
  };
  const judged =
    rollout.state === "running" ? judgeRunning(app, rollout, instances, crash, now, policy, wake) : rollout;
  if (judged !== known) changed.push(judged);
  const fallback = judged.state === "failed" ? lastGood(app, current, instances, view) : null;
  if (fallback === null) return { release: current, fallback: null, rollouts: changed };
  const why = `release ${String(current.number)} failed; release ${String(fallback.number)} is the last good one`;
  return { release: fallback, fallback: why, rollouts: changed };
}

function supersedeOlder(app: App, current: Release, view: ClusterView, now: number): Rollout[] {
  const superseded: Rollout[] = [];
  for (const other of view.of("rollout", app.id)) {
    if (other.releaseId === current.id || other.state !== "running") continue;
    const reason = `release ${String(current.number)} took its place`;
    superseded.push({ ...other, state: "superseded", endedAt: now, reason });
  }
  return superseded;
}

function judgeRunning(
  app: App,
  rollout: Rollout,
  instances: AppInstances,
  crash: CrashRecord | undefined,
  now: number,
  policy: PlanPolicy,
  wake: WakeTime,
): Rollout {
  const end = (state: "complete" | "failed", reason: string, logTail: readonly string[] = []): Rollout => ({
    ...rollout,
    state,
    endedAt: now,
    reason,
    logTail,
  });
  if (app.desired === "stopped")
    return end("complete", "the app is stopped; its next start uses this release");
  const own = instances.live.filter((instance) => instance.placement.releaseId === rollout.releaseId);
  const ready = own.filter((instance) => instance.ready).length;
  const others = instances.live.length - own.length;
  if (ready >= app.instances && others === 0) {
    return end(
      "complete",
      `${String(ready)} of ${String(app.instances)} instance${app.instances === 1 ? "" : "s"} ready`,
    );
  }
  if (crash !== undefined && hasFailed(crash, policy)) {
    return end("failed", failureText(crash), crash.logTail);
  }
  const deadline = rollout.startedAt + policy.rolloutDeadlineMs;
  if (now >= deadline) {
    const seconds = String(Math.round(policy.rolloutDeadlineMs / 1000));
    const waited = `only ${String(ready)} of ${String(app.instances)} instances were ready after ${seconds} s`;
    return end("failed", waited, crash?.logTail ?? []);
  }
  wake.by(deadline);
  return rollout;
}

/** A command that cannot start, or an app that never gets ready, will not do better the third time. */
function hasFailed(crash: CrashRecord, policy: PlanPolicy): boolean {
  if (crash.lastCause === "start" || crash.lastCause === "startup") return true;
  return crash.failures >= policy.rolloutFailuresMax;
}

function failureText(crash: CrashRecord): string {
  const times = crash.failures === 1 ? "" : ` (${String(crash.failures)} failures in a row)`;
  return `${crash.lastReason.replace(/\.$/, "")}${times}`;
}

/** The newest other release whose rollout completed, else the newest other one that has a ready instance. */
function lastGood(app: App, current: Release, instances: AppInstances, view: ClusterView): Release | null {
  const completed = [...view.of("rollout", app.id)]
    .filter((rollout) => rollout.state === "complete")
    .map((rollout) => rollout.releaseId);
  const serving = instances.live
    .filter((instance) => instance.ready)
    .map((instance) => instance.placement.releaseId);
  return newestOther(completed, current, view) ?? newestOther(serving, current, view);
}

function newestOther(releaseIds: readonly string[], current: Release, view: ClusterView): Release | null {
  const others = releaseIds
    .filter((id) => id !== current.id)
    .flatMap((id) => view.get("release", id) ?? [])
    .sort((a, b) => b.number - a.number);
  return others[0] ?? null;
}

function counted(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? "" : "s"}`;
}
