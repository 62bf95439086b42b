import assert from "node:assert/strict";
import { withinBounds, type ConformanceCase, type SuiteOptions } from "./conformance.js";
import { endCases } from "./runtime-ends.js";
import { commandEndCases, execCases } from "./runtime-exec.js";
import {
  RuntimeBench,
  type RuntimeCase,
  type RuntimeHarness,
  type RuntimeSupports,
} from "./runtime-harness.js";
import { imageCases } from "./runtime-images.js";
import { runtimeLifecycleCases } from "./runtime-lifecycle.js";
import { observationCases } from "./runtime-observation.js";
import { runCases } from "./runtime-runs.js";
import { startCases } from "./runtime-starts.js";

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
  const supports: RuntimeSupports = { damage: true, foreign: true, outage: true, ...options.supports };
  const cases = [
    ...startCases,
    ...imageCases,
    ...endCases,
    ...observationCases,
    ...runtimeLifecycleCases,
    ...execCases,
    ...commandEndCases,
    ...runCases,
  ].filter(({ requires }) => requires === undefined || supports[requires]);
  return cases.map((item) => ({
    name: item.name,
    run: () => withinBounds(options, () => runCase(create, item)),
    ...(item.stays === undefined ? {} : { stays: item.stays }),
  }));
}

async function runCase(
  create: () => Promise<RuntimeHarness>,
  { requires, body }: RuntimeCase,
): Promise<void> {
  const harness = await create();
  let bench: RuntimeBench | null = null;
  try {
    if (requires !== undefined) {
      assert.ok(
        harness[requires],
        `The harness has no \`${requires}\`: give it, or declare it in \`supports\`.`,
      );
    }
    bench = await RuntimeBench.make(harness);
    await body(bench);
  } finally {
    await bench?.close();
    await harness.dispose();
  }
}
