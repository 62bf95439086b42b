import type { InstanceExit, InstanceSpec } from "@dinp/core";
import { readProcess } from "./proc.js";
import type { Leader } from "./process-members.js";
import type { ProcessEntry } from "./process-table.js";
import {
  DamagedRecordError,
  readExit,
  readIntent,
  readProcessRecord,
  type ProcessRecord,
} from "./records.js";

/** What the folder of an instance and the machine say about it. */
export type Recovered =
  /** Its start was never acknowledged and nothing was spawned. */
  | { readonly kind: "nothing" }
  | { readonly kind: "exited"; readonly record: InstanceRecord; readonly exit: InstanceExit }
  /** It ended while nobody looked. */
  | { readonly kind: "lost"; readonly record: InstanceRecord; readonly why: string }
  | { readonly kind: "running"; readonly record: InstanceRecord; readonly leader: Leader };

/** What is known of an instance when one of its files may be damaged. */
export type InstanceRecord = Pick<InstanceSpec, "appId" | "releaseId" | "port" | "memoryMb"> & {
  readonly image: InstanceSpec["image"] | null;
  readonly startedAt: number;
  readonly cgroup: string | null;
};

/**
 * Finds out what became of an instance. Its process is the one of the recorded pid, start time and boot; without a usable record,
 * the leader of a group that carries the instance's mark and runs as its user. No other process is ever taken for it.
 */
export async function recoverInstance(
  dir: string,
  owner: { readonly clusterId: string; readonly instanceId: string },
  machine: {
    readonly bootId: string;
    readonly entries: readonly ProcessEntry[];
    readonly isOwnUser: (pid: number, port: number) => boolean;
  },
): Promise<Recovered> {
  const intent = await unlessDamaged(readIntent(dir));
  const process = await unlessDamaged(readProcessRecord(dir));
  const exit = await unlessDamaged(readExit(dir));
  const marked = machine.entries.find(
    (entry) =>
      entry.alive &&
      entry.pid === entry.pgrp &&
      entry.mark?.instanceId === owner.instanceId &&
      entry.mark.clusterId === owner.clusterId &&
      entry.mark.execId === null &&
      machine.isOwnUser(entry.pid, intent.value?.spec.port ?? process.value?.port ?? entry.mark.port),
  );
  const damaged = intent.damaged || process.damaged || exit.damaged;
  if (
    intent.value === null &&
    process.value === null &&
    exit.value === null &&
    marked === undefined &&
    !damaged
  )
    return { kind: "nothing" };
  const record: InstanceRecord = {
    appId: "",
    releaseId: "",
    image: null,
    port: marked?.mark?.port ?? 0,
    memoryMb: 0,
    startedAt: intent.value?.intendedAt ?? 0,
    cgroup: null,
    ...intent.value?.spec,
    ...process.value,
  };
  if (exit.value !== null) return { kind: "exited", record, exit: exit.value };
  if (process.value !== null && isAlive(process.value, machine.bootId))
    return { kind: "running", record, leader: process.value };
  if (marked !== undefined) return { kind: "running", record, leader: marked };
  return { kind: "lost", record, why: whyLost(process.value, machine.bootId, damaged) };
}

function whyLost(process: ProcessRecord | null, bootId: string, damaged: boolean): string {
  if (damaged) return "Its records are damaged and no process of it was found.";
  if (process === null) return "The platform was interrupted while it was being started.";
  if (process.bootId !== bootId) return "It ended when the machine was restarted.";
  return "It ended while the platform was not running; how is not known.";
}

function isAlive(record: ProcessRecord, bootId: string): boolean {
  const now = readProcess(record.pid);
  return record.bootId === bootId && now !== null && now.alive && now.startTime === record.startTime;
}

async function unlessDamaged<T>(read: Promise<T | null>): Promise<{ value: T | null; damaged: boolean }> {
  try {
    return { value: await read, damaged: false };
  } catch (error) {
    if (error instanceof DamagedRecordError) return { value: null, damaged: true };
    throw error;
  }
}
