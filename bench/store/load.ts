import { percentile } from "../lib/bench.js";

/** What a number of clients got done. */
export interface Load {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Of this process: a database server is another one. */
  readonly cpuMsPerCall: number;
}

/** Lets clients call again and again, each waiting for its answer, and measures after a short time to warm up. */
export async function measureLoad(
  clients: number,
  forMs: number,
  call: (client: number) => Promise<unknown>,
): Promise<Load> {
  await runClients(clients, forMs / 5, call);
  const cpu = process.cpuUsage();
  const start = performance.now();
  const latencies = await runClients(clients, forMs, call);
  const tookMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: (1_000 * latencies.length) / tookMs,
    p99Ms: percentile(latencies, 0.99),
    cpuMsPerCall: (user + system) / 1_000 / latencies.length,
  };
}

/** The latency of each call, in milliseconds. */
async function runClients(
  clients: number,
  forMs: number,
  call: (client: number) => Promise<unknown>,
): Promise<readonly number[]> {
  const end = performance.now() + forMs;
  const latencies: number[] = [];
  const runClient = async (client: number): Promise<void> => {
    for (let before = performance.now(); before < end;) {
      await call(client);
      const after = performance.now();
      latencies.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => runClient(client)));
  return latencies;
}
