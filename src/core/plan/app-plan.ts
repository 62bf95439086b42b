import type {
  App,
  CrashRecord,
  InstanceExit,
  InstanceId,
  NodeId,
  Placement,
  Release,
} from "../model/records.js";
import type { CapacityLedger, MisfitCode } from "./capacity.js";
import type { ClusterView } from "./cluster-view.js";
import type { Draft } from "./draft.js";
import { type AppInstances, sortInstances } from "./instances.js";
import type { NodeHealth } from "./node-health.js";
import type { AdoptAction, AppPlan, PlanFacts, Refusal, WakeTime } from "./plan.js";
import { nextStartAt, type PlanPolicy, surgeOf } from "./policy.js";
import { retire, retireReplaced, retireSurplus } from "./retire.js";
import { judgeRollout, type Target } from "./rollout.js";

/** What an app's plan waits for besides its own records and the time; filled in by planning. */
export interface Waits {
  /** A router that has not let go of an instance. */
  routers: boolean;
  room: MissingRoom | null;
  /** The word of a node about an instance that only records call ready. */
  word: boolean;
}

/** Room for one more instance of the release, and why there is none. */
export interface MissingRoom {
  readonly release: Release;
  readonly code: MisfitCode;
}

/** All that the planning of one app looks at. */
export interface PlanContext {
  readonly view: ClusterView;
  readonly facts: PlanFacts;
  readonly now: number;
  readonly policy: PlanPolicy;
  readonly health: ReadonlyMap<NodeId, NodeHealth>;
  /** Nodes that have told this leader what runs there, and are heard: what is known of others is from records alone. */
  readonly vouching: ReadonlySet<NodeId>;
  readonly ledger: CapacityLedger;
  /** Placements of releases older than this leader wait until then for nodes to report; null: they need not. */
  readonly reportsUntil: number | null;
  readonly wake: WakeTime;
  readonly waits: Waits;
  /** How many more inferred stops this plan may contain; counted down. */
  readonly budget: { inferredStops: number };
}

/** What one app needs, from the view alone: see {@link AppPlan}. */
export function planApp(app: App, context: PlanContext): AppPlan {
  const instances = sortInstances(app, context.view, context.health);
  const draft: Draft = { place: [], move: [], forget: [], adopt: [], crashes: [], refused: [] };
  const target = app.deletedAt === null ? wantedTarget(app, instances, draft, context) : null;
  if (app.deletedAt !== null || app.desired === "stopped") {
    const reason = app.deletedAt === null ? "the app was stopped" : "the app was deleted";
    for (const instance of [...instances.live, ...instances.lost]) retire(instance, reason, draft);
    retireOrphans(app, instances, "draining", reason, false, draft);
  } else if (target?.release != null) {
    holdNumber(app, target, target.release, instances, draft, context);
  }
  endFailed(app, instances, draft);
  progressDrains(instances, draft, context);
  forgetEnded(instances, draft, context);
  const settled = context.facts.fresh ? draft : withoutDestruction(app, draft);
  return {
    app,
    ...settled,
    rollouts: target?.rollouts ?? [],
    remove: app.deletedAt !== null && context.facts.fresh && hasNothingLeft(instances),
  };
}

/** The release to run, after this round's failures have been counted. */
function wantedTarget(app: App, instances: AppInstances, draft: Draft, context: PlanContext): Target | null {
  const { view, now, policy, wake } = context;
  countFailures(instances, draft, context);
  if (app.currentRelease === null) return null;
  const current = view.get("release", app.currentRelease);
  if (current === undefined) {
    const reason = `release ${app.currentRelease} is not in the store`;
    draft.refused.push({ appId: app.id, code: "release-missing", reason, retryAt: null });
    return null;
  }
  const crash = crashOf(current.id, draft, view);
  return judgeRollout(app, current, instances, crash, view, now, policy, wake);
}

function crashOf(releaseId: string, draft: Draft, view: ClusterView): CrashRecord | undefined {
  return draft.crashes.find((crash) => crash.releaseId === releaseId) ?? view.get("crash", releaseId);
}

/** Every instance that ended by itself adds to its release's count, once: the same commit moves its placement on. */
function countFailures(instances: AppInstances, draft: Draft, context: PlanContext): void {
  for (const { placement, status } of instances.failed) {
    const exit = status?.exit;
    if (status === undefined || exit == null || isNobodysFault(exit)) continue;
    const before = crashOf(placement.releaseId, draft, context.view);
    const ranWell = status.readyAt !== null && exit.at - status.readyAt >= context.policy.crashResetMs;
    const crash: CrashRecord = {
      releaseId: placement.releaseId,
      appId: placement.appId,
      failures: ranWell ? 1 : (before?.failures ?? 0) + 1,
      // A node's clock may be ahead: the backoff must not wait for it.
      lastAt: Math.min(exit.at, context.now),
      lastInstanceId: placement.instanceId,
      lastCause: exit.cause,
      lastReason: exit.message,
      logTail: exit.logTail,
    };
    const same = draft.crashes.findIndex((other) => other.releaseId === crash.releaseId);
    if (same === -1) draft.crashes.push(crash);
    else draft.crashes[same] = crash;
  }
}

/** Stopped with the platform, or ended while it was away: says nothing about the release. */
export function isNobodysFault(exit: InstanceExit): boolean {
  return exit.cause === "stopped" || exit.cause === "unknown";
}

function endFailed(app: App, instances: AppInstances, draft: Draft): void {
  for (const { placement, status } of instances.failed) {
    const reason = status?.exit?.message ?? `ended on its own (app ${app.name})`;
    draft.move.push({ placement, to: "stopped", reason });
  }
}

/** Keeps the wanted number of the target release running, replacing start-first. */
function holdNumber(
  app: App,
  target: Target,
  release: Release,
  instances: AppInstances,
  draft: Draft,
  context: PlanContext,
): void {
  const own = instances.live.filter((instance) => instance.placement.releaseId === release.id);
  const others = instances.live.filter((instance) => instance.placement.releaseId !== release.id);
  const adopted = adoptOrphans(app, release, app.instances - own.length, instances, draft, context);
  const have = own.length + adopted;
  const room = others.length === 0 ? app.instances : app.instances + surgeOf(app.instances, context.policy);
  const missing = Math.min(app.instances - have, room - have - others.length);
  if (missing > 0) place(app, release, missing, target.fallback, draft, context);
  if (have > app.instances && !mustAwaitReports(app, draft, context))
    retireSurplus(app, own, have - app.instances, draft, context);
  const reason = target.fallback ?? `release ${String(release.number)} replaces it`;
  retireReplaced(app, own, others, reason, draft, context);
}

function place(
  app: App,
  release: Release,
  count: number,
  fallback: string | null,
  draft: Draft,
  context: PlanContext,
): void {
  const crash = crashOf(release.id, draft, context.view);
  if (crash !== undefined) {
    const nextAt = nextStartAt(crash, context.now, context.policy);
    if (nextAt !== null) {
      const seconds = ((nextAt - context.now) / 1000).toFixed(0);
      const reason = `waits ${seconds} s after ${String(crash.failures)} failures in a row: ${crash.lastReason}`;
      draft.refused.push({ appId: app.id, code: "crash-backoff", reason, retryAt: nextAt });
      context.wake.by(nextAt);
      return;
    }
  }
  if (release.createdAt <= context.facts.leaderSince && mustAwaitReports(app, draft, context)) return;
  const why = fallback ?? `${String(app.instances)} wanted of release ${String(release.number)}`;
  for (let i = 0; i < count; i += 1) {
    const fit = context.ledger.fit(release);
    if (fit.node === null) {
      const reason = `release ${String(release.number)} needs ${String(count - i)} more: ${fit.why}`;
      draft.refused.push({ appId: app.id, code: fit.code, reason, retryAt: null });
      context.waits.room = { release, code: fit.code };
      return;
    }
    context.ledger.reserve(fit.node.id, release);
    draft.place.push({
      appId: app.id,
      releaseId: release.id,
      nodeId: fit.node.id,
      reason: `${why}; ${fit.why}`,
    });
  }
}

/**
 * Of a node that this leader has not heard of yet, records say what was: what looks missing may run there, and be doubled;
 * what looks ready may be gone, and be counted on.
 */
function mustAwaitReports(app: App, draft: Draft, context: PlanContext): boolean {
  const retryAt = context.reportsUntil;
  if (retryAt === null) return false;
  const reason = "a new leader first waits for every node's report of what runs there";
  draft.refused.push({ appId: app.id, code: "nodes-not-reported", reason, retryAt });
  context.wake.by(retryAt);
  return true;
}

/** Running instances without a placement: kept while they are wanted, else stopped within the budget. */
function adoptOrphans(
  app: App,
  release: Release,
  wanted: number,
  instances: AppInstances,
  draft: Draft,
  context: PlanContext,
): number {
  let adopted = 0;
  const unwanted: Placement["instanceId"][] = [];
  for (const orphan of instances.orphans) {
    if (orphan.phase === "exited") continue;
    if (orphan.releaseId === release.id && adopted < wanted) {
      adopted += 1;
      draft.adopt.push({
        ...idsOf(orphan),
        desired: "running",
        inferredStop: false,
        reason: "found running without a placement, and wanted",
      });
    } else unwanted.push(orphan.instanceId);
  }
  if (unwanted.length === 0) return adopted;
  const allowed = unwanted.slice(0, Math.max(0, context.budget.inferredStops));
  context.budget.inferredStops -= allowed.length;
  const chosen = instances.orphans.filter((orphan) => allowed.includes(orphan.instanceId));
  retireOrphans(
    app,
    { ...instances, orphans: chosen },
    "draining",
    "found running without a placement",
    true,
    draft,
  );
  if (allowed.length < unwanted.length) {
    const kept = String(unwanted.length - allowed.length);
    const reason = `${kept} instances without a placement are kept: the budget of inferred stops is used up`;
    draft.refused.push({ appId: app.id, code: "inferred-stop-budget", reason, retryAt: null });
  }
  return adopted;
}

function retireOrphans(
  app: App,
  instances: AppInstances,
  desired: "draining",
  reason: string,
  inferredStop: boolean,
  draft: Draft,
): void {
  for (const orphan of instances.orphans) {
    if (orphan.phase === "exited") continue;
    draft.adopt.push({ ...idsOf(orphan), appId: app.id, desired, inferredStop, reason });
  }
}

function idsOf(status: {
  readonly instanceId: string;
  readonly appId: string;
  readonly releaseId: string;
  readonly nodeId: string;
}): Pick<AdoptAction, "instanceId" | "appId" | "releaseId" | "nodeId"> {
  const { instanceId, appId, releaseId, nodeId } = status;
  return { instanceId, appId, releaseId, nodeId };
}

/** Draining ends when every router has let go, when its time is over, or when there is nothing to drain. */
function progressDrains(instances: AppInstances, draft: Draft, context: PlanContext): void {
  for (const { placement, status } of instances.draining) {
    const drainMs = context.view.get("release", placement.releaseId)?.drainMs ?? 0;
    const seenAt = context.facts.drainSeenAt?.(placement.instanceId) ?? placement.changedAt;
    const endsAt = Math.max(placement.changedAt, seenAt) + drainMs;
    const to = "stopped";
    if (status === undefined || status.phase === "exited" || status.readyAt === null) {
      draft.move.push({ placement, to, reason: placement.reason });
    } else if (context.facts.isDrained(placement.instanceId)) {
      draft.move.push({ placement, to, reason: placement.reason });
    } else if (context.now >= endsAt) {
      const waited = `${placement.reason}; requests still ran after ${String(drainMs)} ms`;
      draft.move.push({ placement, to, reason: waited });
    } else {
      context.wake.by(endsAt);
      context.waits.routers = true;
    }
  }
}

function forgetEnded(instances: AppInstances, draft: Draft, context: PlanContext): void {
  for (const { placement, status } of instances.stopped) {
    if (status?.phase !== "exited" || !isLetGo(placement.instanceId, context)) continue;
    draft.forget.push({
      instanceId: placement.instanceId,
      appId: placement.appId,
      reason: "ended, and no router knows it",
    });
  }
  for (const orphan of instances.orphans) {
    if (orphan.phase !== "exited" || !isLetGo(orphan.instanceId, context)) continue;
    draft.forget.push({
      instanceId: orphan.instanceId,
      appId: orphan.appId,
      reason: "ended without a placement",
    });
  }
}

function isLetGo(instanceId: InstanceId, context: PlanContext): boolean {
  if (context.facts.isUnrouted(instanceId)) return true;
  context.waits.routers = true;
  return false;
}

function hasNothingLeft(instances: AppInstances): boolean {
  return Object.values(instances).every((list: readonly unknown[]) => list.length === 0);
}

/** Safety rule 1: what was perhaps only not read is neither stopped nor forgotten. */
function withoutDestruction(app: App, draft: Draft): Draft {
  const dropped = draft.move.length + draft.forget.length;
  if (dropped === 0) return draft;
  const reason = `${String(dropped)} stops wait for a complete read of the store`;
  const refusal: Refusal = { appId: app.id, code: "view-not-fresh", reason, retryAt: null };
  return {
    ...draft,
    move: [],
    forget: [],
    crashes: [],
    adopt: draft.adopt.filter((action) => action.desired === "running"),
    refused: [...draft.refused, refusal],
  };
}
