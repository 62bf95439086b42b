import type { Prober, ProbeTarget } from "../../ports/prober.js";
import type { SimNode } from "./sim-node.js";
import type { SimProcess } from "./sim-process.js";

/** What a monitor sees of an instance changes this often, while there are faults. */
const OUTLOOK_MS = 60_000;

/** One process's probes of what listens on its node. */
export function createSimProber(process: SimProcess, node: SimNode): Prober {
  return proberBy(process, ({ port }) => node.answersAt(port));
}

/** One process's probes of all nodes, from outside: while there are faults it reaches only some of what answers. */
export function createOutsideProber(process: SimProcess, nodes: readonly SimNode[]): Prober {
  const { scheduler, faults, journal } = process.world;
  const outlooks = new Map<string, { readonly reaches: boolean; readonly until: number }>();
  const reaches = (place: string): boolean => {
    const known = outlooks.get(place);
    if (known !== undefined && scheduler.now < known.until) return known.reaches;
    const outlook = { reaches: process.random.next() < 0.7, until: scheduler.now + OUTLOOK_MS };
    outlooks.set(place, outlook);
    return outlook.reaches;
  };
  return proberBy(process, ({ host, port }) => {
    const answers = nodes.some((node) => node.address === host && node.answersAt(port));
    if (!answers || !faults.active || reaches(`${host}:${String(port)}`)) return answers;
    journal.count("not reached from outside");
    return false;
  });
}

function proberBy(process: SimProcess, answers: (target: ProbeTarget) => boolean): Prober {
  const { scheduler } = process.world;
  return {
    probe: async (target, { timeoutMs, signal }) => {
      const begunAt = scheduler.now;
      try {
        const isUp = await process.call("prober", "probe", () => Promise.resolve(answers(target)), {
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
