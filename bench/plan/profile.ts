import { Session } from "node:inspector/promises";

/** The functions in which `work` spent most time by itself, with their shares, most first. */
export async function topFunctions(work: () => void, count: number): Promise<readonly string[]> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    work();
    const { profile } = await session.post("Profiler.stop");
    const hits = new Map<string, number>();
    let total = 0;
    for (const { callFrame, hitCount = 0 } of profile.nodes) {
      const name = callFrame.functionName === "" ? "(anonymous)" : callFrame.functionName;
      hits.set(name, (hits.get(name) ?? 0) + hitCount);
      total += hitCount;
    }
    return [...hits]
      .sort((a, b) => b[1] - a[1])
      .slice(0, count)
      .map(([name, own]) => `${name} ${String(Math.round((100 * own) / Math.max(1, total)))} %`);
  } finally {
    session.disconnect();
  }
}
