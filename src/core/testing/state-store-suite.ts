import type { ConformanceCase } from "./conformance.js";
import { commitCases } from "./state-store-commits.js";
import type { StateStoreFactory } from "./state-store-harness.js";
import { leaseCases } from "./state-store-leases.js";
import { lifecycleCases } from "./state-store-lifecycle.js";
import { readCases } from "./state-store-reads.js";
import { uniqueCases } from "./state-store-unique.js";
import { watchCases } from "./state-store-watches.js";

export type { StateStoreFactory, StateStoreHarness } from "./state-store-harness.js";

/** The contract of the `StateStore` port, case by case. Cases may run in any order, but not at the same time. */
export function stateStoreSuite(create: StateStoreFactory): readonly ConformanceCase[] {
  const cases = [
    ...lifecycleCases,
    ...readCases,
    ...commitCases,
    ...uniqueCases,
    ...watchCases,
    ...leaseCases,
  ];
  return cases.map(({ name, need, body }) => ({
    name,
    run: async () => {
      const harness = await create(need);
      try {
        await body(harness);
      } finally {
        await harness.dispose();
      }
    },
  }));
}
