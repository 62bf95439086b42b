import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";

/** One line of /proc/PID/stat, as far as it matters here (proc(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly ppid: number;
  readonly pgrp: number;
  readonly session: number;
  /** Clock ticks since boot: with pid and boot id, the identity of a process. */
  readonly startTime: string;
  /** False when all of its threads have ended: it holds nothing any more but its number. */
  readonly alive: boolean;
  /** Its first thread has ended, and others go on: what it has open and in memory is shown at those. */
  readonly isHollow: boolean;
  /** A thread of the kernel: it has no environment, and is nobody's. */
  readonly isKernel: boolean;
  readonly rssPages: number;
  /** User and system time of the process and of its waited-for children, in clock ticks. */
  readonly cpuTicks: number;
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
  const text = readOrNull(`/proc/${String(pid)}/stat`);
  const stat = text === null ? null : parseStat(pid, text);
  if (stat?.alive !== true || !stat.isHollow) return stat;
  const thread = ofThreads(pid, (id) => readOrNull(`/proc/${String(pid)}/task/${String(id)}/stat`));
  return { ...stat, rssPages: (thread === null ? null : parseStat(pid, thread))?.rssPages ?? 0 };
}

/** What is found of one of a process's threads besides its first; null when nothing is. */
function ofThreads<T>(pid: number, find: (id: number) => T | null): T | null {
  let ids: number[];
  try {
    ids = readdirSync(`/proc/${String(pid)}/task`).map(Number);
  } catch {
    return null;
  }
  for (const id of ids) {
    const found = id === pid ? null : find(id);
    if (found !== null) return found;
  }
  return null;
}

/** For all files, one after the other: the kernel says of none how long it is, and a scan reads hundreds. */
const piece = Buffer.allocUnsafeSlow(65_536);

function readOrNull(path: string): string | null {
  try {
    const file = openSync(path, "r");
    try {
      return readWhole(file);
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}

function readWhole(file: number): string {
  let text = "";
  for (;;) {
    const count = readSync(file, piece);
    if (count === 0) return text;
    text += piece.toString("latin1", 0, count);
  }
}

/** The flag of a thread of the kernel: PF_KTHREAD of Linux's `include/linux/sched.h`. */
const KERNEL_THREAD = 0x00200000;

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
  const isZombie = field(3) === "Z";
  const isHollow = isZombie && Number(field(20)) > 1;
  return {
    pid,
    ppid: Number(field(4)),
    pgrp: Number(field(5)),
    session: Number(field(6)),
    startTime,
    alive: isHollow || (!isZombie && !["X", "x"].includes(field(3))),
    isHollow,
    isKernel: (Number(field(9)) & KERNEL_THREAD) !== 0,
    rssPages: Number(field(24)),
    cpuTicks: Number(field(14)) + Number(field(15)) + Number(field(16)) + Number(field(17)),
  };
}

/** The mark in a process's environment; null without one, or when it may not be read. */
export function readMark(pid: number): ProcessMark | null {
  const environOf = (path: string): string | null => readOrNull(`/proc/${path}/environ`);
  const text =
    environOf(String(pid)) ?? ofThreads(pid, (id) => environOf(`${String(pid)}/task/${String(id)}`));
  if (text === null) return null;
  let uid: number;
  try {
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

/** The proportional share of memory of a process in bytes: shared pages count once in all; null when it cannot be read. */
export function readProportionalBytes(pid: number): number | null {
  // A thread has no such file below its process, but one under its own number.
  return proportionalBytesAt(pid) ?? ofThreads(pid, proportionalBytesAt);
}

function proportionalBytesAt(id: number): number | null {
  const match = /^Pss:\s+(\d+) kB/m.exec(readOrNull(`/proc/${String(id)}/smaps_rollup`) ?? "");
  return match?.[1] === undefined ? null : Number(match[1]) * 1024;
}
