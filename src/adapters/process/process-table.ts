import { readdirSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { readMark, readProcess, type ProcessMark, type ProcessStat } from "./proc.js";

/** A process, and whose it says it is. */
export interface ProcessEntry extends ProcessStat {
  readonly mark: ProcessMark | null;
}

/** Processes that are read before other work gets a turn. */
const SCAN_SLICE = 64;

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
    if (stat.isKernel) return null;
    const known = this.#marks.get(stat.pid);
    if (known?.startTime === stat.startTime && known.mark !== null) return known.mark;
    // A process without a mark may be one between fork and exec: ask it again at the next scan.
    const mark = readMark(stat.pid);
    this.#marks.set(stat.pid, { startTime: stat.startTime, mark });
    return mark;
  }
}
