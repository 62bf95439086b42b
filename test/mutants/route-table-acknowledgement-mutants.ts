import { compareTableVersions, isDinpError, type RouterAcknowledgement, type RouteTable } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { pause } from "./support/broken-store.js";
import { brokenTable } from "./support/broken-table.js";

const NEWEST = "the newest acknowledgement of each router is kept";
const PAST = "an acknowledgement of the table's past incarnation gives way to one of the present";

export const acknowledgementMutants: readonly Mutant<RouteTable>[] = [
  keeping("an older acknowledgement replaces a newer one", NEWEST, (last, next) => {
    const order = compareTableVersions(last.version, next.version);
    return order === null ? last : next;
  }),

  brokenTable("one router's acknowledgement hides the others", NEWEST, (table) => ({
    acknowledgements: async (options) => (await table.acknowledgements(options)).slice(0, 1),
  })),

  keeping("the higher epoch wins, of whatever incarnation", PAST, (last, next) => {
    const { epoch, revision } = last.version;
    const isOlder =
      next.version.epoch < epoch || (next.version.epoch === epoch && next.version.revision < revision);
    return isOlder ? last : next;
  }),

  brokenTable(
    "an acknowledgement of the future is left out in silence",
    "an acknowledgement of a version that is still to come is refused",
    (table) => ({
      acknowledge: async (acknowledgement, options) => {
        try {
          await table.acknowledge(acknowledgement, options);
        } catch (error) {
          if (!isDinpError(error, "DINP_ROUTE_VERSION")) throw error;
        }
      },
    }),
  ),

  brokenTable(
    "hints begin at the first read",
    "a change of acknowledgements wakes their watchers, also when it came before the first read",
    (table) => ({
      async *watchAcknowledgements(options) {
        yield* table.watchAcknowledgements(options);
      },
    }),
  ),

  brokenTable(
    "an acknowledgement is copied late",
    "acknowledgements go in and come out as copies",
    (table) => ({
      acknowledge: async (acknowledgement, options) => {
        await pause(1);
        return table.acknowledge(acknowledgement, options);
      },
    }),
  ),

  brokenTable(
    "a router without a name is somebody",
    "an acknowledgement without a router or with a version that is none is misuse",
    (table) => ({
      acknowledge: async (acknowledgement, options) => {
        const routerId = acknowledgement.routerId === "" ? "somebody" : acknowledgement.routerId;
        return table.acknowledge({ ...acknowledgement, routerId }, options);
      },
    }),
  ),
];

/** A table that keeps, of two acknowledgements of one router, what `choose` says. */
function keeping(
  name: string,
  caughtBy: string,
  choose: (last: RouterAcknowledgement, next: RouterAcknowledgement) => RouterAcknowledgement,
): Mutant<RouteTable> {
  return brokenTable(name, caughtBy, (table) => {
    const kept = new Map<string, RouterAcknowledgement>();
    return {
      acknowledge: async (acknowledgement, options) => {
        const copy = structuredClone(acknowledgement);
        await table.acknowledge(copy, options);
        const last = kept.get(copy.routerId);
        kept.set(copy.routerId, last === undefined ? copy : choose(last, copy));
      },
      acknowledgements: async (options) => {
        await table.acknowledgements(options);
        return structuredClone([...kept.values()]);
      },
    };
  });
}
