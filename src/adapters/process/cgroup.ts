import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { readProcess } from "./proc.js";
import { signalProcess } from "./signals.js";

/** A folder of one instance in the kernel's memory controller. */
export interface MemoryCgroup {
  readonly path: string;
  /** Puts a process, and what it starts from now on, under the limit. */
  join(pid: number): void;
  /** Living members and those not yet waited for; empty when it is gone. */
  pids(): readonly number[];
  /** Ends all members at once; where the kernel cannot, in a bounded number of rounds, for those that are born meanwhile. */
  killAll(): void;
  /** False also when a member ended while it was looked at: it may have left a child. */
  isEmpty(): boolean;
  /** How often the kernel has killed a member for memory. */
  oomKills(): number;
  /** False while the kernel still counts members. Idempotent. */
  tryRemove(): boolean;
}

/** Makes and finds memory cgroups of one runtime. */
export interface MemoryController {
  readonly version: 1 | 2;
  create(instanceId: string, memoryMb: number): MemoryCgroup;
  /** The instance's cgroup: at the recorded path if that is this runtime's, or where it would have been made. */
  find(instanceId: string, recorded: string | null): MemoryCgroup | null;
  /** Ends all members of the cgroups whose names begin so, and removes those that are empty then. */
  endAll(prefix: string): void;
  /** Removes what no instance in `keep` owns and no process is in. */
  removeLeftovers(keep: ReadonlySet<string>): void;
  /** Removes the folder of all when no instance has one any more. */
  close(): void;
}

const ROOT = "/sys/fs/cgroup";
const MIB = 1024 * 1024;
const KILL_ROUNDS_MAX = 50;

/**
 * The memory controller if this process may use it (cgroups(7)): v2's when the root of the hierarchy hands it on to children,
 * v1's below the root, or else below the process's own cgroup. Below the root the instances outlive the group that the
 * platform itself was started in. Null: limit by sampling.
 */
export function openMemoryController(name: string): MemoryController | null {
  for (const candidate of candidates()) {
    const parent = join(candidate.parent, name);
    try {
      mkdirSync(parent, { recursive: true });
      if (candidate.version === 2) writeFileSync(join(parent, "cgroup.subtree_control"), "+memory");
      const controller = controllerBelow(candidate.version, parent);
      controller.create(".probe", 64).tryRemove();
      return controller;
    } catch {
      // Read-only, not permitted or without the controller: the next one.
      removeFolder(parent);
    }
  }
  return null;
}

function candidates(): readonly { readonly version: 1 | 2; readonly parent: string }[] {
  const found: { version: 1 | 2; parent: string }[] = [];
  if (readText(join(ROOT, "cgroup.controllers")).split(/\s+/).includes("memory")) {
    try {
      writeFileSync(join(ROOT, "cgroup.subtree_control"), "+memory");
      found.push({ version: 2, parent: ROOT });
    } catch {
      // A container's root has members of its own and cannot hand the controller on.
    }
  }
  const v1 = join(ROOT, "memory");
  if (existsSync(join(v1, "memory.limit_in_bytes"))) {
    found.push({ version: 1, parent: v1 });
    const own = /^\d+:memory:(\/.*)$/m.exec(readText("/proc/self/cgroup"))?.[1];
    if (own !== undefined && own !== "/") found.push({ version: 1, parent: join(v1, own) });
  }
  return found;
}

function controllerBelow(version: 1 | 2, parent: string): MemoryController {
  return {
    version,
    create(instanceId, memoryMb) {
      const path = join(parent, instanceId);
      mkdirSync(path, { recursive: true });
      if (version === 1) limitV1(path, memoryMb);
      else limitV2(path, memoryMb);
      return cgroupAt(version, path);
    },
    find(instanceId, recorded) {
      const path = join(parent, instanceId);
      // Under another parent (the platform ran with other rights then) it is still the limit that holds.
      const elsewhere =
        recorded?.endsWith(`/${basename(parent)}/${instanceId}`) === true && existsSync(recorded);
      if (elsewhere) return cgroupAt(version, recorded);
      return existsSync(path) ? cgroupAt(version, path) : null;
    },
    close: () => {
      removeFolder(parent);
    },
    endAll(prefix) {
      for (const entry of readdirSync(parent, { withFileTypes: true })) {
        if (!entry.isDirectory() || !entry.name.startsWith(prefix)) continue;
        const cgroup = cgroupAt(version, join(parent, entry.name));
        cgroup.killAll();
        cgroup.tryRemove();
      }
    },
    removeLeftovers(keep) {
      for (const entry of readdirSync(parent, { withFileTypes: true }))
        if (entry.isDirectory() && !keep.has(entry.name)) removeFolder(join(parent, entry.name));
    },
  };
}

function limitV1(path: string, memoryMb: number): void {
  const bytes = String(memoryMb * MIB);
  writeFileSync(join(path, "memory.limit_in_bytes"), bytes);
  // Memory and swap together: the app gets no swap on top of its limit.
  const withSwap = join(path, "memory.memsw.limit_in_bytes");
  if (existsSync(withSwap)) writeFileSync(withSwap, bytes);
}

function limitV2(path: string, memoryMb: number): void {
  writeFileSync(join(path, "memory.max"), String(memoryMb * MIB));
  const swap = join(path, "memory.swap.max");
  if (existsSync(swap)) writeFileSync(swap, "0");
}

function cgroupAt(version: 1 | 2, path: string): MemoryCgroup {
  const counter = version === 1 ? "memory.oom_control" : "memory.events";
  const pids = (): readonly number[] =>
    readText(join(path, "cgroup.procs"))
      .split("\n")
      .filter((line) => line !== "")
      .map(Number);
  // One that is waited for can have no child any more; of one that is gone nobody knows.
  const isEmpty = (): boolean => pids().every((pid) => readProcess(pid)?.alive === false);
  return {
    path,
    join: (pid) => {
      writeFileSync(join(path, "cgroup.procs"), String(pid));
    },
    pids,
    isEmpty,
    killAll: () => {
      if (writeIfThere(join(path, "cgroup.kill"), "1")) return;
      for (let round = 0; round < KILL_ROUNDS_MAX && !isEmpty(); round += 1)
        for (const pid of pids()) {
          const member = readProcess(pid);
          if (member !== null) signalProcess(member, "SIGKILL");
        }
    },
    oomKills: () => Number(/^oom_kill (\d+)$/m.exec(readText(join(path, counter)))?.[1] ?? 0),
    tryRemove: () => removeFolder(path),
  };
}

/** Only an empty cgroup can be removed, and only by rmdir(2). */
function removeFolder(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return !existsSync(path);
  }
}

function writeIfThere(file: string, text: string): boolean {
  try {
    if (!existsSync(file)) return false;
    writeFileSync(file, text);
    return true;
  } catch {
    return false;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
