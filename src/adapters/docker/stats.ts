import type { InstanceStats } from "@dinp/core";
import type { InstanceContainer } from "./containers.js";
import type { Engine } from "./engine.js";
import { isRefusal } from "./engine-refusal.js";
import { numberAt } from "./json.js";

/** What a container uses now; null when it runs no more. */
export async function readStats(
  engine: Engine,
  { id, instanceId }: InstanceContainer,
): Promise<InstanceStats | null> {
  try {
    const query = { stream: "false", "one-shot": "true" };
    const stats = await engine.ask("GET", `/containers/${id}/stats`, { query });
    const processes = numberAt(stats, "pids_stats", "current");
    if (processes === 0) return null;
    // What the kernel keeps of files and can give back at once is not in use (cgroup version 2, or 1).
    const cached =
      numberAt(stats, "memory_stats", "stats", "inactive_file") ||
      numberAt(stats, "memory_stats", "stats", "total_inactive_file");
    return {
      instanceId,
      memoryBytes: Math.max(0, numberAt(stats, "memory_stats", "usage") - cached),
      cpuMs: Math.round(numberAt(stats, "cpu_stats", "cpu_usage", "total_usage") / 1_000_000),
      // Without the one that is not the app's.
      processes: Math.max(1, processes - 1),
    };
  } catch (error) {
    if (isRefusal(error, 404, 409)) return null;
    throw error;
  }
}
