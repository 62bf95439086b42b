import { afterAll, beforeAll, describe, it } from "vitest";
import { stateStoreSuite } from "@dinp/core/testing";
import { memoryHarness } from "./state-store-support/memory.js";
import { PgliteBench } from "./state-store-support/pglite.js";

describe("memory state store: the contract", () => {
  for (const { name, run } of stateStoreSuite(() => memoryHarness())) it(name, run);
});

describe("pglite state store: the contract", () => {
  let bench: PgliteBench;

  beforeAll(async () => {
    bench = await PgliteBench.make();
  }, 120_000);

  afterAll(() => bench.dispose());

  for (const { name, run } of stateStoreSuite((need) => bench.harness(need))) it(name, run, 120_000);
});
