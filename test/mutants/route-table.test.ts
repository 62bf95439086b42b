import type { RouteTable } from "@dinp/core";
import { routeTableSuite, type ConformanceCase } from "@dinp/core/testing";
import { describeMatrix } from "./describe-matrix.js";
import { routeTableMutants } from "./route-table-mutants.js";
import { tableHarness } from "./support/broken-table.js";

/**
 * Enough on a machine of any speed: these tables move on in microtasks, all of which run before a timer fires, so that
 * only what never comes is waited for.
 */
const WAIT_MS = 200;

function suite(mutate: (table: RouteTable) => RouteTable, waitMs?: number): readonly ConformanceCase[] {
  return routeTableSuite(() => tableHarness(mutate), waitMs === undefined ? {} : { waitMs });
}

describeMatrix({
  port: "RouteTable",
  suite: (mutate) => suite(mutate, WAIT_MS),
  unbroken: suite((table) => table),
  mutants: routeTableMutants,
  width: 16,
});
