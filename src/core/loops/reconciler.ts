import { isDinpError, messageOf } from "../model/errors.js";
import { computePlan } from "../plan/compute-plan.js";
import type { AppPlan, Plan, PlanFacts, Refusal } from "../plan/plan.js";
import type { PlanPolicy } from "../plan/policy.js";
import type { Revision } from "../model/records.js";
import type { Lease, StateStore, Write } from "../ports/state-store.js";
import type { Clock, Logger, Random } from "../ports/system.js";
import { EventLog } from "./events.js";
import { writesOf } from "./plan-writes.js";
import type { StateFollower } from "./state-follower.js";
import { Backoff, repeatUntilAborted } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

export interface ReconcilerOptions {
  readonly store: StateStore;
  readonly follower: StateFollower;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly policy: PlanPolicy;
  readonly lease: Lease;
  /** What the other loops of this leader know. */
  readonly facts: () => Omit<PlanFacts, "fresh" | "leaderSince" | "recentInferredStops">;
}

/** Plans from the view, commits each app's plan, waits until the view shows it, and plans again. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #news = new Wakeup();
  readonly #leaderSince: number;
  readonly #log: EventLog;
  readonly #refusals = new Map<string, string>();
  #inferredStops: readonly number[] = [];
  /** The view must show this before the next plan is made: what it does not show would be done twice. */
  #committed: Revision = 0;
  #mustCatchUp = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#leaderSince = options.clock.now();
    this.#log = new EventLog(options.random);
  }

  /** Something changed that the view does not show: a node was heard of, a router acknowledged. */
  wake(): void {
    this.#news.wake();
  }

  /** Reconciles until the signal aborts; throws `DINP_FENCED` when another leads. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, follower } = this.#options;
    const unsubscribe = follower.onChange(() => {
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
    const plan = computePlan(follower.view, this.#facts(now), now, policy);
    const isDone = await this.#carryOut(plan, now, signal);
    if (!isDone) return;
    const ms = plan.wakeAt === null ? null : Math.max(1, plan.wakeAt - clock.now());
    await this.#news.wait(clock, ms, signal);
  }

  #facts(now: number): PlanFacts {
    const windowMs = this.#options.policy.inferredStopsWindowMs;
    this.#inferredStops = this.#inferredStops.filter((at) => at > now - windowMs);
    return {
      ...this.#options.facts(),
      fresh: this.#options.follower.fresh,
      leaderSince: this.#leaderSince,
      recentInferredStops: this.#inferredStops.length,
    };
  }

  /** True when there was nothing to do. */
  async #carryOut(plan: Plan, now: number, signal: AbortSignal): Promise<boolean> {
    let isDone = true;
    for (const app of plan.apps) {
      if (await this.#commitApp(app, now, signal)) isDone = false;
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
      }
    }
  }

  /** Says every new refusal once, as an event. */
  async #explain(plan: Plan, now: number, signal: AbortSignal): Promise<void> {
    const { store, lease, follower } = this.#options;
    const refusals = [...plan.refused, ...plan.apps.flatMap((app) => app.refused)];
    const current = new Map(refusals.map((refusal) => [refusalKey(refusal), refusal]));
    for (const key of [...this.#refusals.keys()]) if (!current.has(key)) this.#refusals.delete(key);
    const fresh = [...current].filter(([key, refusal]) => this.#refusals.get(key) !== sayingOf(refusal));
    if (fresh.length === 0) return;
    const writes = fresh.map(([, refusal]) => {
      const appName = refusal.appId === null ? null : (follower.view.get("app", refusal.appId)?.name ?? null);
      const message = `${refusal.code}: ${refusal.reason}`;
      return this.#log.write(now, { type: "plan.refused", appId: refusal.appId, appName, message });
    });
    await store.commit(writes, { fencing: { lease: lease.name, epoch: lease.epoch }, signal });
    for (const [key, refusal] of fresh) this.#refusals.set(key, sayingOf(refusal));
  }
}

function refusalKey(refusal: Refusal): string {
  return `${refusal.appId ?? ""}/${refusal.code}`;
}

/** A backoff says something new with each failure, not with each second that passes. */
function sayingOf(refusal: Refusal): string {
  return refusal.retryAt === null ? refusal.reason : String(refusal.retryAt);
}
