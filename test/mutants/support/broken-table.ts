import { DinpError, type RouteTable, type RouteTableEvent } from "@dinp/core";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createSystemRandom } from "@dinp/core/system";
import type { RouteTableHarness } from "@dinp/core/testing";
import type { Mutant } from "../matrix.js";

const HISTORY_MAX = 40;

/** A harness whose table is wrapped by `mutate`. */
export function tableHarness(mutate: (table: RouteTable) => RouteTable): Promise<RouteTableHarness> {
  const inner = createMemoryRouteTable({ random: createSystemRandom(), historyMax: HISTORY_MAX });
  let isOut = false;
  return Promise.resolve({
    table: mutate(withOutages(inner, () => isOut)),
    appliesToReset: 2 * HISTORY_MAX,
    outage: () => {
      isOut = true;
      return Promise.resolve(() => {
        isOut = false;
        return Promise.resolve();
      });
    },
    dispose: () => inner.close(),
  });
}

/** A table that does what `breaks` says, and everything else as the good one that it is given. */
export function brokenTable(
  name: string,
  caughtBy: string,
  breaks: (table: RouteTable) => Partial<RouteTable>,
): Mutant<RouteTable> {
  return { name, caughtBy, mutate: (table) => ({ ...withOutages(table, () => false), ...breaks(table) }) };
}

type WatchOptions = Parameters<RouteTable["watch"]>[0];

export function brokenTableWatch(
  name: string,
  caughtBy: string,
  watch: (table: RouteTable, options: WatchOptions) => AsyncIterable<RouteTableEvent>,
): Mutant<RouteTable> {
  return brokenTable(name, caughtBy, (table) => ({ watch: (options) => watch(table, options) }));
}

function withOutages(table: RouteTable, isOut: () => boolean): RouteTable {
  const assertUp = (): void => {
    if (!isOut()) return;
    throw new DinpError("DINP_UNAVAILABLE", "The backing does not answer.", { retryable: true });
  };
  return {
    snapshot: async (options) => {
      assertUp();
      return table.snapshot(options);
    },
    apply: async (changes, options) => {
      assertUp();
      return table.apply(changes, options);
    },
    watch: (options) => table.watch(options),
    acknowledge: async (acknowledgement, options) => {
      assertUp();
      return table.acknowledge(acknowledgement, options);
    },
    acknowledgements: async (options) => {
      assertUp();
      return table.acknowledgements(options);
    },
    watchAcknowledgements: (options) => table.watchAcknowledgements(options),
    close: () => table.close(),
  };
}
