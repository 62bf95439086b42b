import { DinpError, type InstanceStats } from "@dinp/core";
import type { InstanceContext, InstanceFacts, Leader } from "./instance-facts.js";
import {
  membersOf,
  readProcess,
  readProportionalBytes,
  signalGroup,
  signalProcess,
  type KernelUnits,
  type ProcessEntry,
} from "./proc.js";

const POLL_MS = 20;
/** How long killed processes may take to be gone; the kernel may hold one in a system call. */
export const KILL_WAIT_MS = 10_000;
/** How often a cgroup is tried to be removed, {@link POLL_MS} apart. */
const CGROUP_TRIES_MAX = 50;

/** The processes of one instance: the first one, by its identity, and all that can be told to be the instance's. */
export class InstanceProcesses {
  readonly #context: InstanceContext;
  readonly #facts: InstanceFacts;
  #leader: Leader | null = null;

  constructor(context: InstanceContext, facts: InstanceFacts) {
    this.#context = context;
    this.#facts = facts;
  }

  /** True while there is a first process, or may be. */
  get led(): boolean {
    return this.#leader !== null;
  }

  lead(leader: Leader): void {
    this.#leader = leader;
  }

  /** From here on the first process's number may be anyone's. */
  forgetLeader(): void {
    this.#leader = null;
  }

  leaderAlive(): boolean {
    const now = this.#leader === null ? null : readProcess(this.#leader.pid);
    return now !== null && now.alive && now.startTime === this.#leader?.startTime;
  }

  /** What the processes among these entries use. */
  use(entries: readonly ProcessEntry[]): ProcessUse {
    return new ProcessUse(this.#membersIn(entries), this.#context.units);
  }

  /** Asks all of them to end. */
  async ask(): Promise<void> {
    const leader = this.#leader;
    if (leader === null || !this.leaderAlive()) return;
    signalGroup(leader.pid, "SIGTERM");
    // A stopped process takes no other signal before this one.
    signalGroup(leader.pid, "SIGCONT");
    const others = this.#membersIn(await this.#context.table.scan());
    for (const member of others) if (member.pgrp !== leader.pid) signalProcess(member, "SIGTERM");
  }

  /** Kills the first process and its group, if that is certainly still there. */
  killLeader(): void {
    if (this.leaderAlive()) this.killGroup();
  }

  /** Kills the first process's group; only to be called when its number cannot be another's. */
  killGroup(): void {
    if (this.#leader !== null) signalGroup(this.#leader.pid, "SIGKILL");
  }

  /** Kills the first process with its group, and those among these entries. */
  kill(entries: readonly ProcessEntry[]): void {
    const members = this.#membersIn(entries);
    this.killLeader();
    for (const member of members) signalProcess(member, "SIGKILL");
  }

  /** Resolves when none is left; from when `mayKill()` on they are killed. `DINP_UNAVAILABLE` when they do not end then. */
  async end(mayKill: () => boolean): Promise<void> {
    const { clock, closing, table } = this.#context;
    const { cgroup } = this.#facts;
    let giveUpAt: number | null = null;
    for (;;) {
      const members = this.#membersIn(await table.scan());
      // The kernel's list knows what was born while the others were being read.
      const none = members.length === 0 && cgroup?.isEmpty() !== false;
      if (none) return;
      if (mayKill()) {
        giveUpAt ??= clock.monotonicMs() + KILL_WAIT_MS;
        if (clock.monotonicMs() > giveUpAt) throw this.unkillable();
        for (const member of members) signalProcess(member, "SIGKILL");
        cgroup?.killAll();
      }
      await clock.sleep(POLL_MS, { signal: closing });
    }
  }

  async removeCgroup(): Promise<void> {
    const { cgroup } = this.#facts;
    if (cgroup === null) return;
    const { clock, closing } = this.#context;
    // A process leaves its cgroup a moment after it is seen as gone; what stays is removed at the next open.
    for (let tries = 0; !cgroup.tryRemove() && tries < CGROUP_TRIES_MAX; tries += 1)
      await clock.sleep(POLL_MS, { signal: closing });
  }

  unkillable(): DinpError {
    return new DinpError("DINP_UNAVAILABLE", `Processes of instance ${this.#facts.instanceId} do not end.`, {
      retryable: true,
      hint: "The kernel may hold them in a system call; look at the machine's disks and network file systems.",
    });
  }

  #membersIn(entries: readonly ProcessEntry[]): readonly ProcessEntry[] {
    const { clusterId } = this.#context;
    const { instanceId, uid, cgroup } = this.#facts;
    const owner = { clusterId, instanceId, uid };
    return membersOf(entries, owner, this.#groupIn(entries), new Set(cgroup?.pids()));
  }

  /**
   * The number of the group, as long as it is certain to be this instance's: the kernel gives a number to no new process while
   * a group of that number exists, so a process of that number with another start time shows that ours is gone.
   */
  #groupIn(entries: readonly ProcessEntry[]): number | null {
    const leader = this.#leader;
    if (leader === null) return null;
    const holder = entries.find((entry) => entry.pid === leader.pid);
    return holder === undefined || holder.startTime === leader.startTime ? leader.pid : null;
  }
}

/** What some processes use of the machine. */
class ProcessUse {
  readonly #members: readonly ProcessEntry[];
  readonly #units: KernelUnits;

  constructor(members: readonly ProcessEntry[], units: KernelUnits) {
    this.#members = members;
    this.#units = units;
  }

  isAbove(limitBytes: number): boolean {
    const { pageBytes } = this.#units;
    // Cheap, and never less than the truth: processes of one app share memory.
    if (sum(this.#members, (member) => member.rssPages * pageBytes) <= limitBytes) return false;
    return this.#memoryBytes() > limitBytes;
  }

  stats(): Omit<InstanceStats, "instanceId"> {
    const cpuTicks = sum(this.#members, (member) => member.cpuTicks);
    return {
      memoryBytes: this.#memoryBytes(),
      cpuMs: Math.round((cpuTicks * 1000) / this.#units.ticksPerSecond),
      processes: this.#members.length,
    };
  }

  /** Judged by each one's share, not by what each one sees. */
  #memoryBytes(): number {
    const { pageBytes } = this.#units;
    return sum(this.#members, ({ pid, rssPages }) => readProportionalBytes(pid) ?? rssPages * pageBytes);
  }
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
