import { afterAll, beforeAll, describe, it } from "vitest";
import { stateStoreSuite } from "@dinp/core/testing";
import { describeWithServices } from "../support/services.js";
import { sqlKinds } from "./sql-support/kinds.js";
import { SqlBench } from "./sql-support/sql-bench.js";
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

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `${name} state store: the contract`, (places) => {
    const bench = new SqlBench(kind, Object.values<string>(places)[0] ?? "");

    afterAll(() => bench.dispose());

    for (const { name: title, run } of stateStoreSuite((need) => bench.harness(need)))
      it(title, run, 120_000);
  });
}
