import type { Prober } from "../../ports/prober.js";
import type { SimNode } from "./sim-node.js";
import type { SimProcess } from "./sim-process.js";

/** One process's probes of what listens on its node. */
export function createSimProber(process: SimProcess, node: SimNode): Prober {
  const { scheduler } = process.world;
  return {
    probe: async ({ port }, { timeoutMs, signal }) => {
      const begunAt = scheduler.now;
      try {
        const isUp = await process.call("prober", "probe", () => Promise.resolve(node.answersAt(port)), {
          signal,
        });
        const latencyMs = scheduler.now - begunAt;
        if (isUp && latencyMs <= timeoutMs) return { outcome: "success", latencyMs, status: 200 };
        const reason = isUp ? `no answer within ${String(timeoutMs)} ms` : "connection refused";
        return { outcome: "failure", latencyMs, reason, firstBytes: "" };
      } catch (error) {
        if (signal.aborted) throw error;
        return { outcome: "unknown", reason: "the prober could not try" };
      }
    },
  };
}
