import { readFileSync, writeFileSync } from "node:fs";

/** What one piece of work took, in a process that does nothing else. */
export interface Cost {
  readonly wallMs: number;
  /** User and system time of all the process's threads. */
  readonly cpuMs: number;
  /** Resident memory just before the work. */
  readonly startBytes: number;
  /** The most resident memory during the work. */
  readonly peakBytes: number;
}

export interface Measured<T> {
  readonly cost: Cost;
  /** What the work gave. */
  readonly value: T;
}

export async function measureCost<T>(work: () => Promise<T>): Promise<Measured<T>> {
  globalThis.gc?.();
  resetPeakMemory();
  const startBytes = memoryField("VmRSS");
  const cpu = process.cpuUsage();
  const start = performance.now();
  const value = await work();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const cost = { wallMs, cpuMs: (user + system) / 1000, startBytes, peakBytes: memoryField("VmHWM") };
  return { cost, value };
}

/** See proc(5): the peak of resident memory begins anew at what is resident now. */
function resetPeakMemory(): void {
  writeFileSync("/proc/self/clear_refs", "5");
}

function memoryField(name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/self/status", "utf8"));
  return Number(line?.[1] ?? NaN) * 1024;
}
