import type { ConformanceCase, SuiteOptions } from "./conformance.js";
import { acknowledgementCases } from "./route-table-acknowledgements.js";
import { applyCases } from "./route-table-applies.js";
import type { RouteTableHarness, RouteTableSupports } from "./route-table-harness.js";
import { tableLifecycleCases } from "./route-table-lifecycle.js";
import { tableWatchCases } from "./route-table-watches.js";
import { supportedCases } from "./supported-cases.js";

export type { RouteTableHarness, RouteTableSupports } from "./route-table-harness.js";

export interface RouteTableSuiteOptions extends SuiteOptions {
  /** What the harness can show; the cases of what it cannot are left out. Default: all. */
  readonly supports?: Partial<RouteTableSupports>;
}

/** The contract of the `RouteTable` port, case by case. Cases may run in any order and at the same time. */
export function routeTableSuite(
  create: () => Promise<RouteTableHarness>,
  options: RouteTableSuiteOptions = {},
): readonly ConformanceCase[] {
  return supportedCases({
    cases: [...applyCases, ...tableWatchCases, ...acknowledgementCases, ...tableLifecycleCases],
    supports: { outage: true, ...options.supports },
    bounds: options,
    create,
    run: ({ body }, harness) => body(harness),
  });
}
