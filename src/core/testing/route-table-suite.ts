import assert from "node:assert/strict";
import { withinBounds, type ConformanceCase, type SuiteOptions } from "./conformance.js";
import { acknowledgementCases } from "./route-table-acknowledgements.js";
import { applyCases } from "./route-table-applies.js";
import type { RouteTableHarness, RouteTableSupports, TableCase } from "./route-table-harness.js";
import { tableLifecycleCases } from "./route-table-lifecycle.js";
import { tableWatchCases } from "./route-table-watches.js";

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
  const supports: RouteTableSupports = { outage: true, ...options.supports };
  const cases = [...applyCases, ...tableWatchCases, ...acknowledgementCases, ...tableLifecycleCases].filter(
    ({ requires }) => requires === undefined || supports[requires],
  );
  return cases.map((item) => ({
    name: item.name,
    run: () => withinBounds(options, () => runCase(create, item)),
    ...(item.stays === undefined ? {} : { stays: item.stays }),
  }));
}

async function runCase(
  create: () => Promise<RouteTableHarness>,
  { requires, body }: TableCase,
): Promise<void> {
  const harness = await create();
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
