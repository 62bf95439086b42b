import type { ProcessEntry } from "./process-table.js";

/** The first process of an instance or command, by an identity that no later process can have. */
export interface Leader {
  readonly pid: number;
  readonly startTime: string;
}

/** Whose processes are meant: an instance's, or with `execId` those of one command. */
export interface ProcessOwner {
  readonly clusterId: string;
  readonly instanceId: string;
  readonly uid: number | null;
  readonly execId?: string;
}

/**
 * The living processes of one instance (or command): by mark, if its user's (null: anyone's), by membership in the leader's group
 * or session (as {@link groupOf} gives it), by `extraPids`, and the descendants of all these.
 */
export function membersOf(
  entries: readonly ProcessEntry[],
  owner: ProcessOwner,
  group: number | null,
  extraPids: ReadonlySet<number>,
): readonly ProcessEntry[] {
  const members = new Map<number, ProcessEntry>();
  const belongs = (entry: ProcessEntry): boolean =>
    extraPids.has(entry.pid) ||
    members.has(entry.ppid) ||
    (group !== null && (entry.pgrp === group || entry.session === group)) ||
    (entry.mark?.instanceId === owner.instanceId &&
      entry.mark.clusterId === owner.clusterId &&
      (owner.execId === undefined || entry.mark.execId === owner.execId) &&
      (owner.uid === null || entry.mark.uid === owner.uid));
  for (let grown = -1; grown !== members.size;) {
    grown = members.size;
    for (const entry of entries)
      if (entry.alive && !members.has(entry.pid) && belongs(entry)) members.set(entry.pid, entry);
  }
  return [...members.values()];
}

/**
 * The number of the leader's group, as long as it is certain to be its: the kernel gives a number to no new process while a
 * group of that number exists, so a process of that number with another start time shows that the group is gone.
 */
export function groupOf(leader: Leader | null, entries: readonly ProcessEntry[]): number | null {
  if (leader === null) return null;
  const holder = entries.find((entry) => entry.pid === leader.pid);
  return holder === undefined || holder.startTime === leader.startTime ? leader.pid : null;
}
