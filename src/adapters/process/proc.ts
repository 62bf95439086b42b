import { readdirSync, readFileSync, statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

/** One line of /proc/PID/stat, as far as it matters here (proc(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly ppid: number;
  readonly pgrp: number;
  readonly session: number;
  /** Clock ticks since boot: with pid and boot id, the identity of a process. */
  readonly startTime: string;
  /** False for a zombie: it holds nothing any more but its number. */
  readonly alive: boolean;
  readonly rssPages: number;
  /** User and system time of the process and of its waited-for children, in clock ticks. */
  readonly cpuTicks: number;
}

/** A process, and whose it says it is. */
export interface ProcessEntry extends ProcessStat {
  readonly mark: ProcessMark | null;
}

/** What the environment of an instance's processes says. */
export interface ProcessMark {
  readonly clusterId: string;
  readonly instanceId: string;
  readonly port: number;
  /** Of a command that was run beside an instance or as a one-off; null for an instance's own processes. */
  readonly execId: string | null;
  /** Whose process it is: anyone may write anything into an environment. */
  readonly uid: number;
}

/** Names of the environment variables that mark a process as an instance's. */
export const markNames = Object.freeze({
  cluster: "DINP_CLUSTER",
  instance: "DINP_INSTANCE_ID",
  port: "PORT",
  exec: "DINP_EXEC_ID",
});

/** What the kernel's numbers are counted in. */
export interface KernelUnits {
  readonly pageBytes: number;
  readonly ticksPerSecond: number;
}

/** Processes that are read before other work gets a turn. */
const SCAN_SLICE = 64;

/** The id of this boot of the machine: pids and start times of another boot mean nothing. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** The units of this machine, from the auxiliary vector (getauxval(3): AT_PAGESZ 6, AT_CLKTCK 17). */
export function readKernelUnits(): KernelUnits {
  const vector = readFileSync("/proc/self/auxv");
  const value = (type: bigint, otherwise: number): number => {
    for (let at = 0; at + 16 <= vector.length; at += 16)
      if (vector.readBigUInt64LE(at) === type) return Number(vector.readBigUInt64LE(at + 8));
    return otherwise;
  };
  return { pageBytes: value(6n, 4096), ticksPerSecond: value(17n, 100) };
}

/** The process now; null when there is none of that number. */
export function readProcess(pid: number): ProcessStat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
  } catch {
    return null;
  }
  return parseStat(pid, text);
}

/** Parses /proc/PID/stat; the program's name in it may hold any character, parentheses and spaces too. */
export function parseStat(pid: number, text: string): ProcessStat | null {
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .trim()
    .split(" ");
  // Numbered from field 3 (state) of proc(5).
  const field = (number: number): string => fields[number - 3] ?? "";
  const startTime = field(22);
  if (startTime === "") return null;
  return {
    pid,
    ppid: Number(field(4)),
    pgrp: Number(field(5)),
    session: Number(field(6)),
    startTime,
    alive: !["Z", "X", "x"].includes(field(3)),
    rssPages: Number(field(24)),
    cpuTicks: Number(field(14)) + Number(field(15)) + Number(field(16)) + Number(field(17)),
  };
}

/** The mark in a process's environment; null without one, or when it may not be read. */
export function readMark(pid: number): ProcessMark | null {
  let text: string;
  let uid: number;
  try {
    text = readFileSync(`/proc/${String(pid)}/environ`, "latin1");
    ({ uid } = statSync(`/proc/${String(pid)}`));
  } catch {
    return null;
  }
  const clusterId = environValue(text, markNames.cluster);
  const instanceId = environValue(text, markNames.instance);
  if (clusterId === null || instanceId === null) return null;
  return {
    clusterId,
    instanceId,
    port: Number(environValue(text, markNames.port) ?? 0),
    execId: environValue(text, markNames.exec),
    uid,
  };
}

function environValue(environ: string, name: string): string | null {
  const at = `\0${environ}`.indexOf(`\0${name}=`);
  if (at < 0) return null;
  const from = at + name.length + 1;
  const end = environ.indexOf("\0", from);
  return environ.slice(from, end < 0 ? undefined : end);
}

/**
 * Reads all processes of the machine. A scan yields to other work now and then, callers at the same time share the next one,
 * and marks are remembered: a process keeps the mark that it was first seen with, even when it changes its environment.
 */
export class ProcessTable {
  readonly #marks = new Map<number, { readonly startTime: string; readonly mark: ProcessMark | null }>();
  #running: Promise<readonly ProcessEntry[]> | null = null;
  #next: Promise<readonly ProcessEntry[]> | null = null;

  /** All processes, each as it was at some time after the call. */
  scan(): Promise<readonly ProcessEntry[]> {
    // A scan that has begun may already have passed a process that the caller asks about.
    this.#next ??= (this.#running ?? Promise.resolve()).then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<readonly ProcessEntry[]> {
    this.#next = null;
    const running = this.#read().finally(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return running;
  }

  async #read(): Promise<readonly ProcessEntry[]> {
    const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
    const entries: ProcessEntry[] = [];
    for (const [index, pid] of pids.entries()) {
      if (index % SCAN_SLICE === SCAN_SLICE - 1) await nextTurn();
      const stat = readProcess(pid);
      if (stat !== null) entries.push({ ...stat, mark: this.#markOf(stat) });
    }
    const seen = new Set(pids);
    for (const pid of this.#marks.keys()) if (!seen.has(pid)) this.#marks.delete(pid);
    return entries;
  }

  #markOf(stat: ProcessStat): ProcessMark | null {
    const known = this.#marks.get(stat.pid);
    if (known?.startTime === stat.startTime && known.mark !== null) return known.mark;
    // A process without a mark may be one between fork and exec: ask it again at the next scan.
    const mark = readMark(stat.pid);
    this.#marks.set(stat.pid, { startTime: stat.startTime, mark });
    return mark;
  }
}

/** Whose processes are meant: an instance's, or with `execId` those of one command. */
export interface ProcessOwner {
  readonly clusterId: string;
  readonly instanceId: string;
  readonly uid: number | null;
  readonly execId?: string;
}

/**
 * The living processes of one instance (or command): by mark, if its user's (null: anyone's), by membership in the leader's group or session (when `leaderPid` is given, and
 * only while it is certain that the number is still the leader's), by `extraPids`, and the descendants of all these.
 */
export function membersOf(
  entries: readonly ProcessEntry[],
  owner: ProcessOwner,
  leaderPid: number | null,
  extraPids: ReadonlySet<number>,
): readonly ProcessEntry[] {
  const members = new Map<number, ProcessEntry>();
  const belongs = (entry: ProcessEntry): boolean =>
    extraPids.has(entry.pid) ||
    members.has(entry.ppid) ||
    (leaderPid !== null && (entry.pgrp === leaderPid || entry.session === leaderPid)) ||
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

/** Sends a signal to one process if it still is the one of that start time; true when it was sent. */
export function signalProcess(process_: { pid: number; startTime: string }, signal: NodeJS.Signals): boolean {
  const now = readProcess(process_.pid);
  if (now === null || !now.alive || now.startTime !== process_.startTime) return false;
  return sendSignal(process_.pid, signal);
}

/** Sends a signal to a process group; false when it has no member. */
export function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  return sendSignal(-pgid, signal);
}

function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  // 0, -1 and 1 address this very group, every process, or init.
  if (Math.abs(pid) < 2) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** The proportional share of memory of a process in bytes: shared pages count once in all; null when it cannot be read. */
export function readProportionalBytes(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${String(pid)}/smaps_rollup`, "latin1");
    const match = /^Pss:\s+(\d+) kB/m.exec(text);
    return match?.[1] === undefined ? null : Number(match[1]) * 1024;
  } catch {
    return null;
  }
}
