import { isDinpError, messageOf } from "../model/errors.js";
import type { Fit } from "../plan/capacity.js";
import type { ClusterView } from "../plan/cluster-view.js";
import { computePlan } from "../plan/compute-plan.js";
import { fitOneOff, type OneOff } from "../plan/one-off.js";
import type { AppPlan, Plan, PlanFacts, Refusal } from "../plan/plan.js";
import { hasActions, Planner } from "../plan/planner.js";
import type { PlanPolicy } from "../plan/policy.js";
import type { AppId, Release, Revision } from "../model/records.js";
import type { Lease, Write } from "../ports/state-store.js";
import type { Clock, Logger, Random } from "../ports/system.js";
import { isAborted } from "./abort.js";
import { EventLog } from "./events.js";
import type { Committer } from "./fenced.js";
import { writesOf } from "./plan-writes.js";
import { SeenDrains } from "./seen-drains.js";
import type { StateFollower } from "./state-follower.js";
import { Backoff, repeatUntilAborted } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

export interface ReconcilerOptions {
  readonly store: Committer;
  readonly follower: StateFollower;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly policy: PlanPolicy;
  readonly lease: Lease;
  /** What the other loops of this leader know. */
  readonly facts: () => Omit<PlanFacts, "fresh" | "leaderSince" | "drainSeenAt" | "recentInferredStops">;
}

/** How often a plan of everything is made, to see that the plans of what changed have left nothing out. */
const AUDIT_EVERY_MS = 300_000;

/** A refusal whose reason changes is said again at most this often. */
const SAY_AGAIN_MS = 60_000;

const NAMED_MAX = 5;
const EVENTS_PER_COMMIT = 500;

interface Said {
  readonly saying: string;
  readonly at: number;
}

/** Plans from the view, commits each app's plan, waits until the view shows it, and plans again. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #news = new Wakeup();
  readonly #leaderSince: number;
  readonly #log: EventLog;
  readonly #planner: Planner;
  /** What was said of an app that was refused something, by code. */
  readonly #said = new Map<AppId, ReadonlyMap<string, Said>>();
  /** Apps that the plan in hand knows by records that have changed since; null: any. */
  #overtaken: Set<AppId> | null = null;
  readonly #drains = new SeenDrains();
  #auditedAt: number;
  #inferredStops: readonly number[] = [];
  /** The view must show this before the next plan is made: what it does not show would be done twice. */
  #committed: Revision = 0;
  #mustCatchUp = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#leaderSince = options.clock.now();
    this.#log = new EventLog(options.random);
    this.#planner = new Planner(options.follower.view);
    this.#auditedAt = this.#leaderSince;
  }

  /** A node was heard of for the first time or again, has told all that runs there, or is not connected any more. */
  noteHeard(): void {
    this.#planner.noteHeard();
    this.#news.wake();
  }

  /** A router acknowledged, or the routes changed. */
  noteRouters(): void {
    this.#planner.noteRouters();
    this.#news.wake();
  }

  /** What this leader would do now, or would if the view were another. */
  present(view: ClusterView = this.#options.follower.view): Plan {
    const now = this.#options.clock.now();
    return computePlan(view, this.#facts(now), now, this.#options.policy);
  }

  /** The node for a one-off of the release, beside those that run. */
  fitOneOff(release: Release, running: Iterable<OneOff>): Fit {
    const { follower, clock, policy } = this.#options;
    const now = clock.now();
    return fitOneOff(release, running, follower.view, this.#facts(now), now, policy);
  }

  /** Reconciles until the signal aborts; throws `DINP_FENCED` when another leads. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, follower } = this.#options;
    this.#drains.note(null, follower.view, clock.now());
    const unsubscribe = follower.onChange((changes, touched) => {
      this.#drains.note(changes, follower.view, clock.now());
      this.#planner.note(touched);
      if (touched === null) this.#overtaken = null;
      else for (const id of touched.apps) this.#overtaken?.add(id);
      this.#news.wake();
    });
    const isFatal = (error: unknown): boolean => isDinpError(error, "DINP_FENCED");
    try {
      await repeatUntilAborted("reconciling", (inner) => this.#step(inner), {
        clock,
        logger,
        signal,
        isFatal,
      });
    } finally {
      unsubscribe();
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { follower, clock, policy } = this.#options;
    if (this.#mustCatchUp) {
      await follower.catchUp(signal);
      this.#mustCatchUp = false;
    }
    await follower.reached(this.#committed, signal);
    const now = clock.now();
    this.#overtaken = new Set();
    const plan = this.#planner.plan(this.#facts(now), now, policy);
    const isDone = await this.#carryOut(plan, now, signal);
    if (!isDone || !this.#audit(now)) return;
    const [oldestStop = Infinity] = this.#inferredStops;
    const times = [
      plan.wakeAt ?? Infinity,
      oldestStop + policy.inferredStopsWindowMs,
      this.#auditedAt + AUDIT_EVERY_MS,
    ];
    await this.#news.wait(clock, Math.max(1, Math.min(...times) - clock.now()), signal);
  }

  /** Now and then looks at everything; false when the planner had left something out, and will look at all again. */
  #audit(now: number): boolean {
    const { follower, policy, logger } = this.#options;
    if (now >= this.#auditedAt && now < this.#auditedAt + AUDIT_EVERY_MS) return true;
    this.#auditedAt = now;
    const missed = computePlan(follower.view, this.#facts(now), now, policy).apps.filter(hasActions);
    if (missed.length === 0) return true;
    const apps = missed.slice(0, NAMED_MAX).map(({ app }) => app.name);
    logger.error("planning had left apps out; it looks at all again", { apps, count: missed.length });
    this.#planner.note(null);
    return false;
  }

  #facts(now: number): PlanFacts {
    const windowMs = this.#options.policy.inferredStopsWindowMs;
    this.#inferredStops = this.#inferredStops.filter((at) => at > now - windowMs);
    return {
      ...this.#options.facts(),
      fresh: this.#options.follower.fresh,
      leaderSince: this.#leaderSince,
      drainSeenAt: this.#drains.at,
      recentInferredStops: this.#inferredStops.length,
    };
  }

  /** True when there was nothing to do. */
  async #carryOut(plan: Plan, now: number, signal: AbortSignal): Promise<boolean> {
    let isDone = true;
    for (const app of plan.apps) {
      // The rest was planned from a view that is no longer followed, or that was read anew.
      if (!this.#options.follower.fresh || this.#overtaken === null) return false;
      // Its revisions are those of the view, which has moved on while earlier commits were under way.
      if (this.#overtaken.has(app.app.id)) isDone = false;
      else if (await this.#commitApp(app, now, signal)) isDone = false;
    }
    await this.#explain(plan, now, signal);
    return isDone;
  }

  /** False when the app's plan has no writes. */
  async #commitApp(plan: AppPlan, now: number, signal: AbortSignal): Promise<boolean> {
    const { follower, random, logger } = this.#options;
    const writes = writesOf(plan, follower.view, now, random, this.#log);
    if (writes.length === 0) return false;
    try {
      const revision = await this.#commitSurely(writes, signal);
      this.#committed = Math.max(this.#committed, revision);
      const stops = plan.adopt.filter((action) => action.inferredStop).length;
      this.#inferredStops = [...this.#inferredStops, ...Array<number>(stops).fill(now)];
    } catch (error) {
      this.#mustCatchUp = true;
      if (!isDinpError(error, "DINP_CONFLICT")) throw error;
      logger.debug("the plan was made from an older view", { app: plan.app.name, error: messageOf(error) });
    }
    return true;
  }

  /**
   * While it is not known whether the commit was applied, the very same writes are tried again: they have their
   * instance ids already and apply once at most, so a late effect ends as `DINP_CONFLICT`, not as a second placement.
   */
  async #commitSurely(writes: readonly Write[], signal: AbortSignal): Promise<Revision> {
    const { store, lease, clock } = this.#options;
    const fencing = { lease: lease.name, epoch: lease.epoch };
    const backoff = new Backoff(clock);
    for (let isUnknown = false; ;) {
      try {
        return (await store.commit(writes, { fencing, signal })).revision;
      } catch (error) {
        if (isDinpError(error, "DINP_COMMIT_UNKNOWN")) isUnknown = true;
        else if (!isUnknown || !isDinpError(error, "DINP_UNAVAILABLE")) throw error;
        await backoff.pause(signal);
        if (isAborted(signal)) throw error;
      }
    }
  }

  /** Says every new refusal once, as an event, and one with another reason after a while. */
  async #explain(plan: Plan, now: number, signal: AbortSignal): Promise<void> {
    const { store, lease } = this.#options;
    const refusals = new Map<AppId, Refusal[]>();
    for (const refusal of [...plan.refused, ...plan.apps.flatMap((app) => app.refused)]) {
      // The leader's own start is no news of an app.
      if (refusal.code === "nodes-not-reported") continue;
      const others = refusals.get(refusal.appId);
      if (others === undefined) refusals.set(refusal.appId, [refusal]);
      else others.push(refusal);
    }
    for (const appId of plan.looked) if (!refusals.has(appId)) this.#said.delete(appId);
    const fresh = [...refusals.values()].flat().filter((refusal) => this.#isNews(refusal, now));
    for (let start = 0; start < fresh.length; start += EVENTS_PER_COMMIT) {
      const batch = fresh.slice(start, start + EVENTS_PER_COMMIT);
      const writes = batch.map((refusal) => this.#eventOf(refusal, now));
      await store.commit(writes, { fencing: { lease: lease.name, epoch: lease.epoch }, signal });
      for (const refusal of batch) this.#remember(refusal, now);
    }
  }

  #isNews(refusal: Refusal, now: number): boolean {
    const said = this.#said.get(refusal.appId)?.get(refusal.code);
    if (said === undefined) return true;
    return said.saying !== sayingOf(refusal) && (refusal.retryAt !== null || now - said.at >= SAY_AGAIN_MS);
  }

  #remember(refusal: Refusal, now: number): void {
    const said = new Map(this.#said.get(refusal.appId));
    this.#said.set(refusal.appId, said.set(refusal.code, { saying: sayingOf(refusal), at: now }));
  }

  #eventOf({ appId, code, reason }: Refusal, now: number): Write {
    const appName = this.#options.follower.view.get("app", appId)?.name ?? null;
    return this.#log.write(now, { type: "plan.refused", appId, appName, message: `${code}: ${reason}` });
  }
}

/** A backoff says something new with each failure, not with each second that passes. */
function sayingOf(refusal: Refusal): string {
  return refusal.retryAt === null ? refusal.reason : String(refusal.retryAt);
}
