import type { InstanceStats } from "@dinp/core";
import { readProportionalBytes, type KernelUnits } from "./proc.js";
import type { ProcessEntry } from "./process-table.js";

/** What some processes use of the machine. */
export class ProcessUse {
  readonly #members: readonly ProcessEntry[];
  readonly #units: KernelUnits;

  constructor(members: readonly ProcessEntry[], units: KernelUnits) {
    this.#members = members;
    this.#units = units;
  }

  /** Whether they use more memory than this. */
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
