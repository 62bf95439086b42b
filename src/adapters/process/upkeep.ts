import { messageOf, type Clock, type Logger } from "@dinp/core";
import type { Instance } from "./instance.js";
import type { ProcessTable } from "./process-table.js";

const ADOPTED_POLL_MS = 100;
export const SAMPLE_MS = 500;
const UPKEEP_MS = 1_000;

/** The one loop of a runtime, until the signal aborts: ends of adopted processes, memory samples, sizes of logs. */
export async function keepUp(options: {
  readonly instances: ReadonlyMap<string, Instance>;
  readonly table: ProcessTable;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { instances, table, clock, logger, signal } = options;
  let sampleAt = 0;
  let upkeepAt = 0;
  const pass = async (running: readonly Instance[]): Promise<void> => {
    for (const instance of running) instance.poll();
    const sampled = running.filter((instance) => instance.facts.cgroup === null);
    if (sampled.length > 0 && clock.monotonicMs() >= sampleAt) {
      sampleAt = clock.monotonicMs() + SAMPLE_MS;
      const entries = await table.scan();
      for (const instance of sampled) instance.sampleMemory(entries);
    }
    if (clock.monotonicMs() < upkeepAt) return;
    upkeepAt = clock.monotonicMs() + UPKEEP_MS;
    for (const instance of running) instance.watchMemory();
    for (const instance of running) await instance.facts.log.trim();
  };
  while (!signal.aborted) {
    const running = [...instances.values()].filter((instance) => instance.running);
    await pass(running).catch((error: unknown) => {
      logger?.warn("The upkeep of instances failed; it is tried again.", { error: messageOf(error) });
    });
    const waitMs = running.some((instance) => instance.adopted) ? ADOPTED_POLL_MS : SAMPLE_MS;
    await clock.sleep(waitMs, { signal }).catch(() => undefined);
  }
}
