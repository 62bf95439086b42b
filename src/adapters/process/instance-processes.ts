import type { DinpError } from "@dinp/core";
import { KILL_WAIT_MS, POLL_MS, removeSoon, unending } from "./ending.js";
import type { InstanceContext, InstanceFacts } from "./instance-facts.js";
import { readProcess } from "./proc.js";
import { groupOf, membersOf, type Leader } from "./process-members.js";
import type { ProcessEntry } from "./process-table.js";
import { ProcessUse } from "./process-use.js";
import { signalGroup, signalProcess } from "./signals.js";

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
    const { clock, closing } = this.#context;
    // What stays is removed at the next open.
    if (this.#facts.cgroup !== null) await removeSoon(this.#facts.cgroup, clock, closing);
  }

  unkillable(): DinpError {
    return unending(`instance ${this.#facts.instanceId}`);
  }

  #membersIn(entries: readonly ProcessEntry[]): readonly ProcessEntry[] {
    const { clusterId } = this.#context;
    const { instanceId, uid, cgroup } = this.#facts;
    const owner = { clusterId, instanceId, uid };
    return membersOf(entries, owner, groupOf(this.#leader, entries), new Set(cgroup?.pids()));
  }
}
