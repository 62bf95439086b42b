import { describe, it } from "vitest";
import { runtimeSuite } from "../../src/core/testing/runtime-suite.js";
import { ProcessHarness } from "./process-support/harness.js";

describe("process runtime: the contract, with the memory controller where there is one", () => {
  for (const { name, run } of runtimeSuite(() => ProcessHarness.make())) it(name, run);
});

describe("process runtime: the contract, with sampled memory", () => {
  for (const { name, run } of runtimeSuite(() => ProcessHarness.make({ memoryLimit: "sampled" })))
    it(name, run);
});

describe.runIf(process.getuid?.() === 0)("process runtime: the contract, without users of their own", () => {
  for (const { name, run } of runtimeSuite(() => ProcessHarness.make({ uidBase: null }))) it(name, run);
});
