import { messageOf } from "../model/errors.js";
import type { InstanceId } from "../model/records.js";
import { KeyTimers } from "../plan/key-timers.js";
import type { MonitorPolicy } from "../probing/monitor-policy.js";
import {
  initialObservation,
  monitorIntervalMs,
  nextObservationAt,
  observe,
  type Observation,
} from "../probing/observation.js";
import type { Prober, ProbeResult } from "../ports/prober.js";
import type { RecordChange } from "../ports/state-store.js";
import type { Clock, Random } from "../ports/system.js";
import { isAborted } from "./abort.js";
import { type MonitorTarget, monitorTarget } from "./monitor-targets.js";
import type { StateFollower } from "./state-follower.js";
import { Wakeup } from "./wakeup.js";

export interface MonitorProbesOptions {
  readonly follower: StateFollower;
  readonly prober: Prober;
  readonly clock: Clock;
  readonly random: Random;
  readonly policy: MonitorPolicy;
  /** Probes at the same time. */
  readonly concurrency: number;
  /** Whether the instance counts as failing until it was probed: this monitor withdrew it before. */
  readonly isWithdrawn: (instanceId: InstanceId) => boolean;
  /** Told of each probe that has ended. */
  readonly onProbe: (result: ProbeResult) => void;
}

interface Watched {
  readonly target: MonitorTarget;
  readonly observation: Observation;
}

/** Probes every instance that is ready by its agent, each at its own interval, and keeps what it sees of them. */
export class MonitorProbes {
  readonly #options: MonitorProbesOptions;
  readonly #watched = new Map<InstanceId, Watched>();
  readonly #timers = new KeyTimers();
  /** Instances whose probe is due, in order. */
  #due: InstanceId[] = [];
  readonly #news = new Wakeup();

  constructor(options: MonitorProbesOptions) {
    this.#options = options;
  }

  observations(): ReadonlyMap<InstanceId, Observation> {
    return new Map([...this.#watched].map(([id, { observation }]) => [id, observation]));
  }

  /** The view has changed so; null: any of it may have. */
  note(changes: readonly RecordChange[] | null): void {
    const { view } = this.#options.follower;
    const ids = new Set<InstanceId>();
    if (changes === null) {
      for (const id of this.#watched.keys()) ids.add(id);
      for (const { instanceId } of view.all("instanceStatus")) ids.add(instanceId);
    }
    for (const { kind, key } of changes ?? []) {
      if (kind === "placement" || kind === "instanceStatus") ids.add(key);
      if (kind === "app") for (const { instanceId } of view.of("instanceStatus", key)) ids.add(instanceId);
    }
    for (const id of ids) this.#look(id);
    this.#news.wake();
  }

  /** Probes until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, concurrency } = this.#options;
    const running = new Set<Promise<void>>();
    try {
      while (!isAborted(signal)) {
        const now = clock.monotonicMs();
        this.#due.push(...this.#timers.takeDue(now));
        for (const id of this.#due.splice(0, concurrency - running.size)) {
          const probe = this.#probe(id, signal).finally(() => {
            running.delete(probe);
            this.#news.wake();
          });
          running.add(probe);
        }
        const nextAt = running.size < concurrency ? this.#timers.next : null;
        await this.#news.wait(clock, nextAt === null ? null : nextAt - now, signal);
      }
    } finally {
      await Promise.all(running);
    }
  }

  #look(instanceId: InstanceId): void {
    const { clock, random, policy, isWithdrawn, follower } = this.#options;
    const target = monitorTarget(follower.view, instanceId);
    if (target === null) {
      this.#watched.delete(instanceId);
      this.#timers.set(instanceId, null);
      return;
    }
    const known = this.#watched.get(instanceId);
    if (known !== undefined) {
      this.#watched.set(instanceId, { target, observation: known.observation });
      return;
    }
    const observation = initialObservation(
      { appId: target.appId, answers: !isWithdrawn(instanceId) },
      {
        now: clock.monotonicMs(),
        intervalMs: monitorIntervalMs(target, policy),
        spread: random.next(),
      },
    );
    this.#watched.set(instanceId, { target, observation });
    this.#schedule(instanceId);
  }

  #schedule(instanceId: InstanceId): void {
    const watched = this.#watched.get(instanceId);
    if (watched === undefined) return;
    const { random, policy } = this.#options;
    const intervalMs = monitorIntervalMs(watched.target, policy);
    this.#timers.set(instanceId, nextObservationAt(watched.observation, intervalMs, random.next()));
  }

  async #probe(instanceId: InstanceId, signal: AbortSignal): Promise<void> {
    const { clock, policy, onProbe } = this.#options;
    const watched = this.#watched.get(instanceId);
    if (watched === undefined) return;
    const begunAt = clock.monotonicMs();
    const result = await this.#ask(watched.target, signal);
    if (isAborted(signal)) return;
    const now = this.#watched.get(instanceId);
    if (now !== undefined) {
      const times = { begunAt, endedAt: clock.monotonicMs() };
      const observation = observe(now.observation, result, times, policy);
      this.#watched.set(instanceId, { target: now.target, observation });
      this.#schedule(instanceId);
    }
    onProbe(result);
  }

  /** Never rejects: what is wrong with the prober or with what it is asked says nothing about the instance. */
  async #ask({ probe, timeoutMs }: MonitorTarget, signal: AbortSignal): Promise<ProbeResult> {
    const { prober, policy } = this.#options;
    try {
      return await prober.probe(probe, { timeoutMs: Math.min(timeoutMs, policy.intervalMaxMs), signal });
    } catch (error) {
      return { outcome: "unknown", reason: messageOf(error) };
    }
  }
}
