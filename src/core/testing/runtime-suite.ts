import type { ConformanceCase, SuiteOptions } from "./conformance.js";
import { endCases } from "./runtime-ends.js";
import { commandEndCases, execCases } from "./runtime-exec.js";
import { RuntimeBench, type RuntimeHarness, type RuntimeSupports } from "./runtime-harness.js";
import { imageCases } from "./runtime-images.js";
import { runtimeLifecycleCases } from "./runtime-lifecycle.js";
import { observationCases } from "./runtime-observation.js";
import { runCases } from "./runtime-runs.js";
import { secretCases } from "./runtime-secrets.js";
import { startCases } from "./runtime-starts.js";
import { supportedCases } from "./supported-cases.js";

export type { RuntimeHarness, RuntimeSupports } from "./runtime-harness.js";

export interface RuntimeSuiteOptions extends SuiteOptions {
  /** What the harness can show; the cases of what it cannot are left out. Default: all. */
  readonly supports?: Partial<RuntimeSupports>;
}

/**
 * The contract of the `Runtime` port on real instances, case by case. Cases may run in any order and at the same time.
 * What only a crash of the platform shows (the end of commands that it left behind) is left to the adapter's own tests.
 */
export function runtimeSuite(
  create: () => Promise<RuntimeHarness>,
  options: RuntimeSuiteOptions = {},
): readonly ConformanceCase[] {
  return supportedCases({
    cases: [
      ...startCases,
      ...imageCases,
      ...endCases,
      ...observationCases,
      ...runtimeLifecycleCases,
      ...execCases,
      ...commandEndCases,
      ...runCases,
      ...secretCases,
    ],
    supports: { damage: true, foreign: true, outage: true, ...options.supports },
    bounds: options,
    create,
    run: async ({ body }, harness) => {
      const bench = await RuntimeBench.make(harness);
      try {
        await body(bench);
      } finally {
        await bench.close();
      }
    },
  });
}
