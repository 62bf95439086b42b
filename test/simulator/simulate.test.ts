import { createMemoryRouteTable, createMemoryStateStore } from "@dinp/core/memory";
import { defaultPlanPolicy } from "@dinp/core";
import { simulate, type SimulationOptions, type SimulationReport } from "@dinp/core/testing";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

/** A small world for a short time: the same faults in a fraction of the steps. */
const small = { nodes: 4, minutes: 20 } as const;

// For machines that have a lot else to do.
vi.setConfig({ testTimeout: 300_000 });

// Faults are errors here, by the thousand, and nobody reads their stacks.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

function run(seed: number, options: Partial<SimulationOptions> = {}): Promise<SimulationReport> {
  const backends = { createStateStore: createMemoryStateStore, createRouteTable: createMemoryRouteTable };
  return simulate({ seed, backends, ...small, ...options });
}

const reports = new Map<number, Promise<SimulationReport>>();

/** Of the world of this seed, which is run once. */
function reportOf(seed: number): Promise<SimulationReport> {
  const report = reports.get(seed) ?? run(seed);
  reports.set(seed, report);
  return report;
}

test.for([1, 2])("seed %i keeps every promise", async (seed) => {
  const { violation, counts } = await reportOf(seed);
  expect(violation).toBeNull();
  const needed = [
    "instance started",
    "instance stopped",
    "a server leads",
    "request answered",
    "call disk.write",
  ];
  expect(needed.filter((what) => !counts.has(what))).toEqual([]);
});

test("every promise is kept beside monitors that see what is not so", async () => {
  const { violation, counts } = await run(1, { monitors: 2 });
  expect(violation).toBeNull();
  const needed = ["not reached from outside", "event instance.withdrawn", "event instance.returned"];
  expect(needed.filter((what) => !counts.has(what))).toEqual([]);
});

test("one seed gives one simulation, also when somebody listens; another seed another", async () => {
  const lines: string[] = [];
  const again = await run(1, { onLine: (line) => lines.push(line) });
  const [first, other] = [await reportOf(1), await reportOf(2)];
  expect(again).toEqual(first);
  expect(lines.slice(-first.lastLines.length)).toEqual(first.lastLines);
  expect(other.fingerprint).not.toBe(first.fingerprint);
});

test("a policy that gives rollouts no time never lets the world come to rest", async () => {
  const { violation } = await run(3, { policy: { ...defaultPlanPolicy, rolloutDeadlineMs: 0 } });
  expect(violation).toMatchObject({
    invariant: "a-fixpoint-follows-the-faults",
    atMs: small.minutes * 60_000,
  });
  expect(violation?.message).toMatch(/is not of the current release/);
});

describe("options that make no world", () => {
  test.for([
    { seed: 1.5 },
    { servers: 0 },
    { nodes: -1 },
    { routers: 0.5 },
    { monitors: -1 },
    { minutes: 19 },
    { minutes: NaN },
    { minutes: Infinity },
  ])("%o", async (options) => {
    await expect(run(1, options)).rejects.toThrow(TypeError);
  });
});
