import type { AppId, NodeId } from "../model/records.js";
import { type MissingRoom, planApp, type PlanContext, type Waits } from "./app-plan.js";
import { KeyTimers } from "./key-timers.js";
import { CapacityLedger } from "./capacity.js";
import type { ClusterView, Touched } from "./cluster-view.js";
import { judgeNodes, type NodeHealth } from "./node-health.js";
import { type AppPlan, type Plan, type PlanFacts, type Refusal, WakeTime } from "./plan.js";
import type { PlanPolicy } from "./policy.js";

/**
 * Plans a view that changes, and looks at those apps only for which something may have changed: their own records,
 * the health of a node that they are on, room that they wait for, routers that let go, or the time.
 *
 * Its owner tells it of every change by {@link Planner.note}. An app for which there was something to do is looked at
 * again in the next plan, until nothing is left. A first plan, and one after `note(null)`, looks at all: a planner that
 * has come to rest and a new one on the same view agree that there is nothing to do.
 */
export class Planner {
  readonly #view: ClusterView;
  /** To be looked at in the next plan; null: all. */
  #dirty: Set<AppId> | null = null;
  #nodes = new Set<NodeId>();
  #timers = new KeyTimers();
  #cluster: Cluster | null = null;
  readonly #waits = new Waiting();
  #recentStops = 0;

  constructor(view: ClusterView) {
    this.#view = view;
  }

  /** The view has changed; null: throughout. */
  note(touched: Touched | null): void {
    if (touched === null) this.#dirty = null;
    else {
      this.#mark(touched.apps);
      for (const id of touched.nodes) this.#nodes.add(id);
      if (touched.routers) this.noteRouters();
    }
  }

  /** A node was heard of for the first time, or again after a silence; it has told all that runs there, or is not connected any more. */
  noteHeard(): void {
    if (this.#cluster !== null) this.#cluster.judgedUntil = -Infinity;
  }

  /** A router may have let go of an instance. */
  noteRouters(): void {
    this.#mark(this.#waits.routers);
  }

  /** See {@link computePlan}; `plan.looked` are the apps that it is about. */
  plan(facts: PlanFacts, now: number, policy: PlanPolicy): Plan {
    const cluster = this.#refresh(facts, now, policy);
    const looked = this.#dirty === null ? allOwners(this.#view) : this.#dirty;
    const { ledger, health, vouching, reportsUntil } = cluster;
    const shared = { view: this.#view, facts, now, policy, health, vouching, ledger, reportsUntil };
    const budget = { inferredStops: policy.inferredStopsMax - facts.recentInferredStops };
    const plan = { apps: [] as AppPlan[], refused: [] as Refusal[], looked };
    this.#dirty = new Set();
    let isWhole = false;
    try {
      for (const id of this.#waits.inTurn(looked)) {
        this.#look(
          id,
          { ...shared, budget, wake: new WakeTime(), waits: { routers: false, room: null, word: false } },
          plan,
        );
      }
      isWhole = true;
    } finally {
      ledger.undo();
      if (!isWhole) this.#dirty = null;
    }
    const wake = new WakeTime();
    for (const at of [cluster.wakeAt, this.#timers.next]) if (at !== null) wake.by(at);
    return { ...plan, wakeAt: wake.at };
  }

  #look(
    id: AppId,
    context: PlanContext,
    plan: { readonly apps: AppPlan[]; readonly refused: Refusal[] },
  ): void {
    const app = this.#view.get("app", id);
    if (app === undefined) {
      this.#waits.forget(id);
      this.#timers.set(id, null);
      plan.refused.push(...unknownOrphans(this.#view, id));
      return;
    }
    const planned = planApp(app, context);
    this.#timers.set(id, context.wake.at);
    this.#waits.set(id, planned, context.waits);
    const acts = hasActions(planned);
    if (acts || planned.refused.length > 0) plan.apps.push(planned);
    // Another app's stops took the budget, and it is not certain that they are carried out.
    const isOutbid =
      context.budget.inferredStops < context.policy.inferredStopsMax - context.facts.recentInferredStops &&
      planned.refused.some(({ code }) => code === "inferred-stop-budget");
    if (acts || isOutbid || !context.facts.fresh) this.#mark([id]);
  }

  #mark(ids: Iterable<AppId>): void {
    if (this.#dirty === null) return;
    for (const id of ids) this.#dirty.add(id);
  }

  /** Takes over all that has changed since the last plan, and marks the apps for which it may matter. */
  #refresh(facts: PlanFacts, now: number, policy: PlanPolicy): Cluster {
    const nodes = this.#nodes;
    this.#nodes = new Set();
    if (facts.recentInferredStops < this.#recentStops) this.#mark(this.#waits.budget);
    this.#recentStops = facts.recentInferredStops;
    const before = this.#dirty === null ? null : this.#cluster;
    if (before === null) {
      this.#timers = new KeyTimers();
      this.#waits.clear();
      this.#cluster = newCluster(this.#view, facts, now, policy);
      return this.#cluster;
    }
    this.#mark(this.#timers.takeDue(now));
    const judged = { ...before };
    if (now >= before.judgedUntil || !before.ledger.covers(nodes)) {
      Object.assign(judged, judgeCluster(this.#view, facts, now, policy));
      this.#noteHealth(before.health, judged.health, nodes);
      if (judged.reportsUntil === null) this.#mark(this.#waits.reports);
      this.#mark(this.#waits.word);
    }
    if (before.ledger.covers(nodes)) before.ledger.refresh(nodes, judged.health);
    else judged.ledger = new CapacityLedger(this.#view, judged.health);
    this.#markRoom(judged.ledger, nodes);
    this.#cluster = judged;
    return judged;
  }

  /** Only a node that is lost, or no longer, changes what its apps need; any may have room now. */
  #noteHealth(
    before: ReadonlyMap<NodeId, NodeHealth>,
    after: ReadonlyMap<NodeId, NodeHealth>,
    nodes: Set<NodeId>,
  ): void {
    for (const id of before.keys()) if (!after.has(id)) this.#markNode(id);
    for (const [id, health] of after) {
      const old = before.get(id);
      if (old === health) continue;
      nodes.add(id);
      if (old === "lost" || health === "lost") this.#markNode(id);
    }
  }

  #markNode(id: NodeId): void {
    for (const { appId } of this.#view.onNode(id)) this.#mark([appId]);
  }

  /** Room for those that wait for it is news, and so is that there is none for another reason than before. */
  #markRoom(ledger: CapacityLedger, nodes: ReadonlySet<NodeId>): void {
    if (nodes.size === 0) return;
    const changed = [...nodes];
    for (const [appId, { release, code }] of this.#waits.room) {
      const fits = changed.some((id) => ledger.couldTake(id, release));
      if (fits || ledger.misfitCode(release) !== code) this.#mark([appId]);
    }
  }
}

/** What all apps share, kept from plan to plan. */
interface Cluster {
  health: ReadonlyMap<NodeId, NodeHealth>;
  vouching: ReadonlySet<NodeId>;
  ledger: CapacityLedger;
  /** Placements of older releases wait this long for nodes that have not reported yet; null: they need not. */
  reportsUntil: number | null;
  /** No node's health changes before this time unless a silent one is heard of. */
  judgedUntil: number;
  wakeAt: number | null;
}

function newCluster(view: ClusterView, facts: PlanFacts, now: number, policy: PlanPolicy): Cluster {
  const judged = judgeCluster(view, facts, now, policy);
  return { ...judged, ledger: new CapacityLedger(view, judged.health) };
}

function judgeCluster(
  view: ClusterView,
  facts: PlanFacts,
  now: number,
  policy: PlanPolicy,
): Omit<Cluster, "ledger"> {
  const wake = new WakeTime();
  const nodes = [...view.all("node")];
  const health = judgeNodes(nodes, facts, now, policy, wake);
  const until = facts.leaderSince + Math.min(policy.firstReportMs, policy.leaderGraceMs);
  const reported = new Set(nodes.map(({ id }) => id).filter((id) => facts.isReported?.(id) ?? true));
  const mustWait = now < until && reported.size < nodes.length;
  if (mustWait) wake.by(until);
  return {
    health,
    vouching: new Set([...reported].filter((id) => health.get(id) === "live")),
    reportsUntil: mustWait ? until : null,
    judgedUntil: wake.at ?? Infinity,
    wakeAt: wake.at,
  };
}

/** The apps that wait for something other than their own records or the time. */
class Waiting {
  readonly routers = new Set<AppId>();
  readonly budget = new Set<AppId>();
  readonly reports = new Set<AppId>();
  readonly word = new Set<AppId>();
  readonly room = new Map<AppId, MissingRoom>();
  /** Of those that wait for room: a lower number has waited longer. */
  readonly #turns = new Map<AppId, number>();
  readonly #all = [this.routers, this.budget, this.reports, this.word, this.room, this.#turns];
  #nextTurn = 0;

  /** Those that wait for room first, as long as they have waited; then the others, by id. */
  inTurn(ids: ReadonlySet<AppId>): readonly AppId[] {
    const waiting: { readonly id: AppId; readonly turn: number }[] = [];
    const others: AppId[] = [];
    for (const id of ids) {
      const turn = this.#turns.get(id);
      if (turn === undefined) others.push(id);
      else waiting.push({ id, turn });
    }
    waiting.sort((a, b) => a.turn - b.turn);
    return [...waiting.map(({ id }) => id), ...others.sort()];
  }

  set(id: AppId, plan: AppPlan, waits: Waits): void {
    const turn = this.#turns.get(id) ?? this.#nextTurn;
    this.forget(id);
    if (waits.routers) this.routers.add(id);
    if (waits.word) this.word.add(id);
    if (waits.room !== null) {
      this.room.set(id, waits.room);
      this.#turns.set(id, turn);
      this.#nextTurn = Math.max(this.#nextTurn, turn + 1);
    }
    for (const { code } of plan.refused) {
      if (code === "inferred-stop-budget") this.budget.add(id);
      else if (code === "nodes-not-reported") this.reports.add(id);
    }
  }

  forget(id: AppId): void {
    for (const kept of this.#all) kept.delete(id);
  }

  clear(): void {
    for (const kept of this.#all) kept.clear();
  }
}

/** Every app, and what owns reported instances without having a record. */
function allOwners(view: ClusterView): Set<AppId> {
  const ids = new Set<AppId>();
  for (const app of view.all("app")) ids.add(app.id);
  for (const id of view.owners("instanceStatus")) ids.add(id);
  return ids;
}

/** True when the plan asks for more than to wait. */
export function hasActions(plan: AppPlan): boolean {
  const { place, move, forget, adopt, rollouts, crashes } = plan;
  return plan.remove || [place, move, forget, adopt, rollouts, crashes].some((list) => list.length > 0);
}

/** Instances whose app has no record: absence is no tombstone, so they are kept and named. */
function unknownOrphans(view: ClusterView, appId: AppId): readonly Refusal[] {
  let count = 0;
  for (const status of view.of("instanceStatus", appId)) if (status.phase !== "exited") count += 1;
  if (count === 0) return [];
  const reason = `${String(count)} running instances of ${appId}, which has no record, are kept`;
  return [{ appId, code: "orphan-of-unknown-app", reason, retryAt: null }];
}
