import type { ConformanceCase, SuiteOptions } from "./conformance.js";
import { commitCases } from "./state-store-commits.js";
import type { StateStoreFactory, StateStoreSupports } from "./state-store-harness.js";
import { leaseCases } from "./state-store-leases.js";
import { lifecycleCases } from "./state-store-lifecycle.js";
import { readCases } from "./state-store-reads.js";
import { uniqueCases } from "./state-store-unique.js";
import { watchCases } from "./state-store-watches.js";
import { supportedCases } from "./supported-cases.js";

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
  return supportedCases({
    cases: [...lifecycleCases, ...readCases, ...commitCases, ...uniqueCases, ...watchCases, ...leaseCases],
    supports: { reopen: true, outage: true, ...options.supports },
    bounds: options,
    create: ({ need }) => create(need),
    run: ({ body }, harness) => body(harness),
  });
}
