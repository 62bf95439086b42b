import { afterAll, beforeAll, describe, it } from "vitest";
import { stateStoreSuite } from "@dinp/core/testing";
import { memoryHarness } from "./state-store-support/memory.js";
import { PgliteBench } from "./state-store-support/pglite.js";

describe("memory state store: the contract", () => {
  const supports = { reopen: false, outage: false };
  for (const { name, run } of stateStoreSuite(() => memoryHarness(), { supports })) it(name, run);
});

describe("pglite state store: the contract", () => {
  let bench: PgliteBench;

  beforeAll(async () => {
    bench = await PgliteBench.make();
  }, 120_000);

  afterAll(() => bench.dispose());

  // The database runs in this process: what does not answer there is broken, see pglite-faults.test.ts.
  const suite = stateStoreSuite((need) => bench.harness(need), { supports: { outage: false } });
  for (const { name, run } of suite) it(name, run, 120_000);
});
