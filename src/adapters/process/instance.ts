import type { ChildProcess } from "node:child_process";
import {
  DinpError,
  messageOf,
  type InstanceExit,
  type InstanceStats,
  type RuntimeInstance,
} from "@dinp/core";
import { EXIT_TAIL_CHARACTERS, EXIT_TAIL_LINES } from "../runtime/log-tail.js";
import { explainEnd } from "./exit-info.js";
import { KILL_WAIT_MS, POLL_MS } from "./ending.js";
import type { InstanceContext, InstanceFacts } from "./instance-facts.js";
import { InstanceProcesses } from "./instance-processes.js";
import type { ChildEnd } from "./launcher.js";
import type { Leader } from "./process-members.js";
import type { ProcessEntry } from "./process-table.js";
import { writeExit } from "./records.js";

/** An out-of-memory kill this long before the end is taken for its cause. */
const OOM_WINDOW_MS = 2_000;
/** How long followers of the log of a removed instance are waited for. */
const FOLLOWERS_WAIT_MS = 500;

/** One instance: its processes from the start, or from their adoption, until none is left. */
export class Instance {
  readonly facts: InstanceFacts;
  readonly #context: InstanceContext;
  readonly #processes: InstanceProcesses;
  #child: ChildProcess | null = null;
  #exit: InstanceExit | null;
  /** Set once the leader is gone; settles when no process is left. */
  #ending: Promise<void> | null = null;
  readonly #ended = deferred();
  #driving: Promise<void> | null = null;
  /** Monotonic time at which a stop turns from asking to killing; null while nobody asked. */
  #killAt: number | null = null;
  #killedForMemory = false;
  #oom: { kills: number; at: number } = { kills: 0, at: Number.NEGATIVE_INFINITY };
  readonly #removed = new AbortController();
  #followers = 0;

  constructor(context: InstanceContext, facts: InstanceFacts, exit: InstanceExit | null) {
    this.#context = context;
    this.facts = facts;
    this.#processes = new InstanceProcesses(context, facts);
    this.#exit = exit;
    this.#ended.promise.catch(() => undefined);
    if (exit !== null) this.#ended.resolve();
  }

  get running(): boolean {
    return this.#exit === null;
  }

  /** True from when it is asked to end, or its first process is gone. */
  get ending(): boolean {
    return !this.running || this.#killAt !== null || this.#ending !== null;
  }

  get adopted(): boolean {
    return this.running && this.#child === null;
  }

  view(): RuntimeInstance {
    const { instanceId, appId, releaseId, port, startedAt } = this.facts;
    return {
      instanceId,
      appId,
      releaseId,
      state: this.#exit === null ? "running" : "exited",
      host: this.#context.nodeAddress,
      port,
      startedAt,
      exit: this.#exit,
    };
  }

  /** Takes over a process: a child of this process, or with null one that is found by looking. */
  run(leader: Leader, child: ChildProcess | null): void {
    this.#processes.lead(leader);
    this.#child = child;
    this.#oom.kills = this.facts.cgroup?.oomKills() ?? 0;
    if (child === null) return;
    const onExit = (code: number | null, signal: string | null): void => {
      this.#leaderEnded({ code, signal });
    };
    if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode);
    else child.once("exit", onExit);
  }

  /** Looks after an adopted process. */
  poll(): void {
    if (this.#ending !== null || !this.#processes.led || this.#child !== null) return;
    if (!this.#processes.leaderAlive()) this.#leaderEnded({ code: null, signal: null });
  }

  /** Notices kills of the kernel for memory. */
  watchMemory(): void {
    if (this.facts.cgroup === null) return;
    const kills = this.facts.cgroup.oomKills();
    if (kills > this.#oom.kills) this.#oom = { kills, at: this.#context.clock.monotonicMs() };
  }

  /** Ends the instance when its processes use more than their memory; for machines where the kernel does not. */
  sampleMemory(entries: readonly ProcessEntry[]): void {
    if (!this.#processes.led || this.#ending !== null || this.facts.cgroup !== null) return;
    const limit = this.facts.memoryMb * 1024 * 1024;
    if (limit <= 0 || !this.#processes.use(entries).isAbove(limit) || this.#killAt !== null) return;
    this.#killedForMemory = true;
    this.#processes.kill(entries);
  }

  async stats(): Promise<InstanceStats | null> {
    if (!this.running) return null;
    const use = this.#processes.use(await this.#context.table.scan());
    return { instanceId: this.facts.instanceId, ...use.stats() };
  }

  /**
   * Asks all processes to end, and ends them after `graceMs`; resolves when none is left. Asked again, the earlier end of the two
   * graces counts. `DINP_UNAVAILABLE` when the kernel does not let go of one.
   */
  stop(graceMs: number): Promise<void> {
    // What could not be ended when the first process was gone is tried again.
    if (!this.running) return this.#ended.promise.catch(() => this.sweep());
    if (this.#processes.led && this.#ending === null) {
      const killAt = this.#context.clock.monotonicMs() + graceMs;
      const first = this.#killAt === null;
      this.#killAt = Math.min(this.#killAt ?? Number.POSITIVE_INFINITY, killAt);
      if (first) this.#driving = this.#driveStop(graceMs).catch(this.#ended.reject);
      else if (graceMs <= 0) this.#processes.killLeader();
    } else if (this.#ending !== null && this.#killAt !== null) {
      this.#killAt = Math.min(this.#killAt, this.#context.clock.monotonicMs() + graceMs);
    }
    return this.#ended.promise;
  }

  /** Ends processes that carry the mark of an instance that has ended, and its cgroup. */
  async sweep(): Promise<void> {
    await this.#endProcesses();
    await this.#processes.removeCgroup();
  }

  /** Lines of the log; with `follow` until {@link endFollowers} or the signal. */
  async *follow(options: {
    readonly tail: number;
    readonly follow: boolean;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<string, void, undefined> {
    const { tail, follow, signal } = options;
    const ended = AbortSignal.any([this.#removed.signal, ...(signal === undefined ? [] : [signal])]);
    this.#followers += 1;
    try {
      const quiet = (): boolean => !this.running;
      for await (const line of this.facts.log.lines({ tail, follow, ended, quiet })) {
        if (signal?.aborted === true) return;
        yield line;
      }
    } finally {
      this.#followers -= 1;
    }
  }

  /** Lets followers of the log read what is left, for a bounded time. */
  async endFollowers(): Promise<void> {
    this.#removed.abort();
    const { clock, closing } = this.#context;
    for (let waited = 0; this.#followers > 0 && waited < FOLLOWERS_WAIT_MS; waited += POLL_MS)
      await clock.sleep(POLL_MS, { signal: closing });
  }

  /** Lets go of the processes, which go on running; resolves when nothing of this object acts or writes any more. */
  async detach(): Promise<void> {
    this.#child?.removeAllListeners();
    this.#child?.on("error", () => undefined);
    this.#ended.reject(
      new DinpError("DINP_CLOSED", "The runtime was closed; the instance goes on as it is."),
    );
    this.#removed.abort();
    await Promise.allSettled([this.#ending, this.#driving]);
  }

  async #driveStop(graceMs: number): Promise<void> {
    const { clock, closing } = this.#context;
    if (graceMs > 0) await this.#processes.ask();
    for (;;) {
      if (this.#ending !== null) return;
      this.poll();
      const left = (this.#killAt ?? 0) - clock.monotonicMs();
      if (left <= 0) break;
      await clock.sleep(Math.min(left, POLL_MS), { signal: closing });
    }
    const giveUpAt = clock.monotonicMs() + KILL_WAIT_MS;
    for (;;) {
      if (this.#isEnding()) return;
      if (clock.monotonicMs() > giveUpAt) throw this.#processes.unkillable();
      this.#processes.killLeader();
      this.poll();
      await clock.sleep(POLL_MS, { signal: closing });
    }
  }

  #isEnding(): boolean {
    return this.#ending !== null;
  }

  #leaderEnded(end: ChildEnd): void {
    if (this.#ending !== null || this.#context.closing.aborted) return;
    this.#ending = this.#finish(end);
    this.#ending.then(this.#ended.resolve, (error: unknown) => {
      this.#ended.reject(error);
      if (this.#context.closing.aborted) return;
      this.#context.logger?.warn("An instance did not end cleanly.", {
        instance: this.facts.instanceId,
        error: messageOf(error),
      });
    });
  }

  async #finish(end: ChildEnd): Promise<void> {
    const stopped = this.#killAt !== null;
    const at = this.#context.clock.now();
    const outOfMemory = this.#ranOutOfMemory(end);
    // The number cannot have been given to another group yet: the child was waited for in this very turn.
    if (!stopped && this.#child !== null) this.#processes.killGroup();
    // While a stop's grace lasts, what the leader left behind may end in peace, and the instance still runs.
    const swept = this.#endProcesses();
    const sweptOrNot = swept.catch(() => undefined);
    if (stopped) await sweptOrNot;
    await this.#publish({
      at,
      ...explainEnd({
        ...end,
        ranMs: at - this.facts.startedAt,
        memoryMb: this.facts.memoryMb,
        stopped,
        outOfMemory,
        adopted: this.#child === null,
      }),
      code: end.code,
      signal: end.signal,
      logTail: this.facts.log.tail(EXIT_TAIL_LINES, EXIT_TAIL_CHARACTERS),
    });
    await swept;
    await this.#processes.removeCgroup();
    this.#processes.forgetLeader();
  }

  /** Ends all that is left; asks first only while a stop's grace lasts. */
  #endProcesses(): Promise<void> {
    return this.#processes.end(() => this.#context.clock.monotonicMs() >= (this.#killAt ?? 0));
  }

  async #publish(exit: InstanceExit): Promise<void> {
    this.#exit = exit;
    this.#context.onChange(this.facts.instanceId);
    await writeExit(this.facts.dir, exit).catch((error: unknown) => {
      this.#context.logger?.warn("The end of an instance could not be recorded.", {
        instance: this.facts.instanceId,
        error: messageOf(error),
      });
    });
  }

  #ranOutOfMemory(end: ChildEnd): boolean {
    if (this.#killedForMemory) return true;
    if (end.code === 0) return false;
    this.watchMemory();
    return this.#context.clock.monotonicMs() - this.#oom.at < OOM_WINDOW_MS;
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function deferred(): Deferred {
  let resolve = (): void => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<void>((onDone, onError) => {
    resolve = onDone;
    reject = onError;
  });
  return { promise, resolve, reject };
}
