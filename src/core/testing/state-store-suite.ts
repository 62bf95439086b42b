import assert from "node:assert/strict";
import { withinBounds, type ConformanceCase, type SuiteOptions } from "./conformance.js";
import { commitCases } from "./state-store-commits.js";
import type { StateStoreFactory, StateStoreHarness, StateStoreSupports } from "./state-store-harness.js";
import { leaseCases } from "./state-store-leases.js";
import { lifecycleCases } from "./state-store-lifecycle.js";
import { readCases } from "./state-store-reads.js";
import { uniqueCases } from "./state-store-unique.js";
import { watchCases } from "./state-store-watches.js";

export type { StateStoreFactory, StateStoreHarness, StateStoreSupports } from "./state-store-harness.js";

export interface StateStoreSuiteOptions extends SuiteOptions {
  /** What the harness can show; the cases of what it cannot are left out. Default: all. */
  readonly supports?: Partial<StateStoreSupports>;
}

/**
 * The contract of the `StateStore` port, case by case. Cases may run in any order; at the same time only when each gets
 * a store of its own. What takes damage to the backend (`DINP_CORRUPT`) or a connection that is lost at the wrong moment
 * (`DINP_COMMIT_UNKNOWN`) is for the tests of each store.
 */
export function stateStoreSuite(
  create: StateStoreFactory,
  options: StateStoreSuiteOptions = {},
): readonly ConformanceCase[] {
  const supports: StateStoreSupports = { reopen: true, outage: true, ...options.supports };
  const cases = [
    ...lifecycleCases,
    ...readCases,
    ...commitCases,
    ...uniqueCases,
    ...watchCases,
    ...leaseCases,
  ].filter(({ requires }) => requires === undefined || supports[requires]);
  return cases.map(({ name, need, requires, body, stays }) => ({
    name,
    run: () => withinBounds(options, () => runCase(create, need, requires, body)),
    ...(stays === undefined ? {} : { stays }),
  }));
}

async function runCase(
  create: StateStoreFactory,
  need: "any" | "fresh",
  requires: keyof StateStoreSupports | undefined,
  body: (harness: StateStoreHarness) => Promise<void>,
): Promise<void> {
  const harness = await create(need);
  try {
    if (requires !== undefined) {
      assert.ok(
        harness[requires],
        `The harness has no \`${requires}\`: give it, or declare it in \`supports\`.`,
      );
    }
    await body(harness);
  } finally {
    await harness.dispose();
  }
}
