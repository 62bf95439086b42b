import { describe, it } from "vitest";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createSystemRandom } from "@dinp/core/system";
import { routeTableSuite } from "@dinp/core/testing";

describe("memory route table: the contract", () => {
  const historyMax = 40;
  const suite = routeTableSuite(
    () => {
      const table = createMemoryRouteTable({ random: createSystemRandom(), historyMax });
      return Promise.resolve({
        table,
        appliesToReset: 2 * historyMax,
        outage: null,
        dispose: () => table.close(),
      });
    },
    { supports: { outage: false } },
  );
  for (const { name, run } of suite) it(name, run);
});
