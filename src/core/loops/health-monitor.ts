import { isDinpError } from "../model/errors.js";
import type { InstanceId, Revision } from "../model/records.js";
import { monitorLease, withdrawalKey } from "../model/withdrawal.js";
import { type Judgement, judge, shareText } from "../probing/monitor-judgement.js";
import type { MonitorPolicy } from "../probing/monitor-policy.js";
import { initialSight, type MonitorSight } from "../probing/monitor-sight.js";
import type { Observation } from "../probing/observation.js";
import type { Prober, ProbeResult } from "../ports/prober.js";
import type { Lease, StateStore, Write } from "../ports/state-store.js";
import type { Clock, Logger, Random } from "../ports/system.js";
import { EventLog } from "./events.js";
import { lead } from "./leadership.js";
import { MonitorProbes } from "./monitor-probes.js";
import { MonitorWrites } from "./monitor-writes.js";
import { StateFollower } from "./state-follower.js";
import { repeatUntilAborted, runTogether, sleepQuietly } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

export interface HealthMonitorOptions {
  readonly store: StateStore;
  readonly prober: Prober;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly policy: MonitorPolicy;
  /** 1 to 64 of letters, digits, `.`, `_` and `-`. Of two monitors with the same one only one works, and the other stands by. */
  readonly monitorId: string;
  /** Who this process is; another one at every start. */
  readonly holder: string;
  /** Probes at the same time. The prober must allow as many. Default 64. */
  readonly concurrency?: number;
  /** How long its withdrawals outlive a monitor that dies, to a few seconds. Default 15 s. */
  readonly leaseTtlMs?: number;
  /** Told of each probe that has ended. Must not throw. */
  readonly onProbe?: (result: ProbeResult) => void;
}

/** What a monitor can tell of itself. */
export interface HealthMonitorState {
  /** Whether it has a whole view of the platform's state, and follows it. */
  readonly isFollowing: boolean;
  /** Whether it holds its lease, and so probes. */
  readonly isWorking: boolean;
  /** Instances that it probes. */
  readonly instances: number;
  /** Of these, those that do not answer it. */
  readonly failing: number;
  /** Its own withdrawals. */
  readonly withdrawn: number;
  /** Whether it judges nobody, because most of its probes fail at once. */
  readonly isSuspended: boolean;
}

/** The work of a monitor while it holds its lease. */
interface Shift {
  readonly lease: Lease;
  readonly probes: MonitorProbes;
  readonly writes: MonitorWrites;
  /** Kept on their routes although they do not answer: each is told of once. */
  readonly told: Set<InstanceId>;
  sight: MonitorSight;
  /** The view must show this before the next judgement. */
  committed: Revision;
  mustCatchUp: boolean;
  /** Of the instances that there were at its beginning, those that it has not probed yet. */
  readonly unseen: Set<InstanceId>;
}

/** Between one judgement and the next. */
const JUDGE_EVERY_MS = 100;
const RETURNS_PER_COMMIT = 100;

/**
 * Probes every ready instance from where it runs, and takes those that do not answer there off their routes, by records that
 * stand only while it holds its lease. It stops, starts and places nothing.
 */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #follower: StateFollower;
  readonly #log: EventLog;
  readonly #news = new Wakeup();
  #shift: Shift | null = null;

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    this.#follower = new StateFollower(options);
    this.#log = new EventLog(options.random);
  }

  state(): HealthMonitorState {
    const shift = this.#shift;
    const observations = [...(shift?.probes.observations().values() ?? [])];
    return {
      isFollowing: this.#follower.fresh,
      isWorking: shift !== null,
      instances: observations.length,
      failing: observations.filter(({ probe }) => !probe.ready).length,
      withdrawn: shift === null ? 0 : this.#own().size,
      isSuspended: shift !== null && shift.sight.suspendedSince !== null,
    };
  }

  /** Monitors until the signal aborts; then its withdrawals end with its lease, which it gives up. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, logger, monitorId, holder, leaseTtlMs = 15_000 } = this.#options;
    const leadership = { store, clock, logger, name: monitorLease(monitorId), holder, ttlMs: leaseTtlMs };
    await runTogether(
      [
        (inner) => this.#follower.run(inner),
        (inner) => lead(leadership, inner, (lease, working) => this.#work(lease, working)),
      ],
      signal,
    );
  }

  async #work(lease: Lease, signal: AbortSignal): Promise<void> {
    const { clock, logger, monitorId, concurrency = 64, onProbe } = this.#options;
    // Whoever held the lease before can commit no more: from here on the view has all that this monitor ever withdrew.
    await this.#follower.catchUp(signal);
    const probes = new MonitorProbes({
      ...this.#options,
      ...{ follower: this.#follower, concurrency },
      isWithdrawn: (instanceId) => this.#isOwn(instanceId),
      onProbe: (result) => {
        onProbe?.(result);
        this.#news.wake();
      },
    });
    const writes = new MonitorWrites(monitorId, this.#follower.view, this.#log);
    const shift: Shift = {
      ...{ lease, probes, writes, told: new Set<InstanceId>(), sight: initialSight },
      ...{ committed: 0, mustCatchUp: false, unseen: new Set<InstanceId>() },
    };
    this.#shift = shift;
    const unsubscribe = this.#follower.onChange((changes) => {
      probes.note(changes);
      this.#news.wake();
    });
    probes.note(null);
    for (const id of probes.observations().keys()) shift.unseen.add(id);
    const isFatal = (error: unknown): boolean => isDinpError(error, "DINP_FENCED");
    const judging = (inner: AbortSignal): Promise<void> =>
      repeatUntilAborted("judging instances from outside", (s) => this.#step(shift, s), {
        ...{ clock, logger, signal: inner, isFatal },
      });
    try {
      await runTogether([(inner) => probes.run(inner), judging], signal);
    } finally {
      unsubscribe();
      if (this.#shift === shift) this.#shift = null;
    }
  }

  async #step(shift: Shift, signal: AbortSignal): Promise<void> {
    const { clock, policy } = this.#options;
    // Calm comes by time alone.
    const waitMs = shift.sight.suspendedSince === null ? null : policy.calmMs;
    await this.#news.wait(clock, waitMs, signal);
    if (signal.aborted) return;
    if (shift.mustCatchUp) {
      await this.#follower.catchUp(signal);
      shift.mustCatchUp = false;
    }
    await this.#follower.reached(shift.committed, signal);
    const observations = shift.probes.observations();
    if (!hasLookedAround(shift, observations)) return;
    const judgement = judge({
      ...{ observations, own: this.#own(), sight: shift.sight },
      isWithdrawn: (instanceId) => this.#isWithdrawn(instanceId),
      ...{ now: clock.monotonicMs(), policy },
    });
    await this.#carryOut(judgement, shift, signal);
    await sleepQuietly(clock, JUDGE_EVERY_MS, signal);
  }

  async #carryOut(judgement: Judgement, shift: Shift, signal: AbortSignal): Promise<void> {
    const now = this.#options.clock.now();
    const { writes, told } = shift;
    await this.#tellSight(judgement.sight, shift, signal);
    const returns = [
      ...judgement.drop.map((instanceId) => [writes.drop(instanceId)]),
      ...judgement.giveBack.map((finding) => writes.giveBack(finding, now)),
    ];
    for (let start = 0; start < returns.length; start += RETURNS_PER_COMMIT)
      await this.#commit(returns.slice(start, start + RETURNS_PER_COMMIT).flat(), shift, signal);
    for (const finding of judgement.withdraw) {
      if (!(await this.#commit(writes.withdraw(finding, now), shift, signal))) return;
    }
    const kept = new Set(judgement.keep.map(({ instanceId }) => instanceId));
    for (const instanceId of told) if (!kept.has(instanceId)) told.delete(instanceId);
    for (const finding of judgement.keep) {
      if (told.has(finding.instanceId)) continue;
      if (await this.#commit(writes.keep(finding, now), shift, signal)) told.add(finding.instanceId);
    }
  }

  async #tellSight(sight: MonitorSight, shift: Shift, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const isSuspended = sight.suspendedSince !== null;
    if (isSuspended !== (shift.sight.suspendedSince !== null)) {
      const type = isSuspended ? "monitor.suspended" : "monitor.resumed";
      const message = isSuspended
        ? `${shareText(sight)} instances do not answer: the fault is more likely here, and nothing is withdrawn`
        : `${shareText(sight)} instances do not answer; it judges again`;
      logger.warn(type, { message });
      await this.#commit(shift.writes.tell(type, message, clock.now()), shift, signal);
    }
    shift.sight = sight;
  }

  /** False when something changed meanwhile: the next judgement sees it. */
  async #commit(writes: readonly Write[], shift: Shift, signal: AbortSignal): Promise<boolean> {
    const { store, logger } = this.#options;
    const fencing = { lease: shift.lease.name, epoch: shift.lease.epoch };
    try {
      const { revision } = await store.commit(writes, { fencing, signal });
      shift.committed = Math.max(shift.committed, revision);
      return true;
    } catch (error) {
      shift.mustCatchUp = true;
      this.#news.wake();
      if (!isDinpError(error, "DINP_CONFLICT")) throw error;
      logger.debug("an instance was judged by an older view", { error: error.message });
      return false;
    }
  }

  #isOwn(instanceId: InstanceId): boolean {
    const key = withdrawalKey({ instanceId, monitorId: this.#options.monitorId });
    return this.#follower.view.get("withdrawal", key) !== undefined;
  }

  #own(): Set<InstanceId> {
    const { monitorId } = this.#options;
    const all = [...this.#follower.view.all("withdrawal")];
    return new Set(all.filter((each) => each.monitorId === monitorId).map(({ instanceId }) => instanceId));
  }

  #isWithdrawn(instanceId: InstanceId): boolean {
    const { view } = this.#follower;
    const appId = view.get("placement", instanceId)?.appId ?? "";
    for (const withdrawal of view.of("withdrawal", appId))
      if (withdrawal.instanceId === instanceId) return true;
    return false;
  }
}

/** One that has just begun knows nothing of its own sight: what it probes first may be just what it has withdrawn before. */
function hasLookedAround({ unseen }: Shift, observations: ReadonlyMap<InstanceId, Observation>): boolean {
  for (const id of unseen) if (observations.get(id)?.lastOutcome !== null) unseen.delete(id);
  return unseen.size === 0;
}
