import { describe, it } from "vitest";
import { runtimeSuite } from "@dinp/core/testing";
import { ProcessHarness, type RuntimeSettings } from "./process-support/harness.js";

/** Most of a case is waiting for processes: some at the same time cost little more than one. */
function describeSuite(name: string, settings: RuntimeSettings, isPossible = true): void {
  describe.runIf(isPossible)(`process runtime: the contract, ${name}`, { concurrent: true }, () => {
    for (const { name, run } of runtimeSuite(() => ProcessHarness.make(settings)))
      it(name, { timeout: 600_000 }, run);
  });
}

describeSuite("with the memory controller where there is one", {});
describeSuite("with sampled memory", { memoryLimit: "sampled" });
describeSuite("without users of their own", { uidBase: null }, process.getuid?.() === 0);
