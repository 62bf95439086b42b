import { compareTableVersions, DinpError, isDinpError, type Route, type RouteTable } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { acknowledgementMutants } from "./route-table-acknowledgement-mutants.js";
import { tableWatchMutants } from "./route-table-watch-mutants.js";
import { pause } from "./support/broken-store.js";
import { brokenTable } from "./support/broken-table.js";

const ABORTED = "an aborted signal rejects every call with DINP_ABORTED and changes nothing";
const WHOLE = "a reader sees the old or the new table, never a part, and never a hole";
const COPIES = "routes go in and come out as copies";
const OUTAGE =
  "while the backend does not answer every call rejects with DINP_UNAVAILABLE, retryable, and nothing looks empty";

/** Tables that each break one sentence of the contract, in the order of the suite. */
export const routeTableMutants: readonly Mutant<RouteTable>[] = [
  brokenTable(
    "a stopped app's route has no reason",
    "an apply puts, replaces and deletes routes as one new version",
    (table) => ({
      snapshot: async (options) => {
        const { version, routes } = await table.snapshot(options);
        const isStopped = ({ unavailable }: Route): boolean => unavailable === "stopped";
        return {
          version,
          routes: routes.map((route) => (isStopped(route) ? { ...route, unavailable: null } : route)),
        };
      },
    }),
  ),

  brokenTable(
    "an apply of nothing does nothing",
    "an apply without changes is a new version too",
    (table) => ({
      apply: async (changes, options) => {
        const copies = structuredClone(changes);
        const { version } = await table.snapshot();
        const isIdle = changes.length === 0 && compareTableVersions(version, options.ifVersion) === 0;
        return isIdle && options.epoch === 3 ? version : table.apply(copies, options);
      },
    }),
  ),

  brokenTable(
    "stale epoch accepted",
    "a higher epoch becomes the table's, and a lower one is fenced",
    (table) => ({
      apply: (changes, options) => {
        const epoch = Math.max(options.epoch, Math.min(options.ifVersion.epoch, 1_000));
        return table.apply(changes, options.epoch < 0 ? options : { ...options, epoch });
      },
    }),
  ),

  brokenTable(
    "the incarnation is not compared",
    "an apply to another version than the table's is refused",
    (table) => {
      let incarnation: string | null = null;
      return {
        apply: (changes, options) => {
          incarnation ??= options.ifVersion.incarnation;
          return table.apply(changes, { ...options, ifVersion: { ...options.ifVersion, incarnation } });
        },
      };
    },
  ),

  brokenTable(
    "ignored compare-and-set: it is checked before the apply and not in it",
    "of applies to one version at the same time one wins",
    (table) => ({
      apply: async (changes, options) => {
        const copies = structuredClone(changes);
        const { version } = await table.snapshot();
        if (compareTableVersions(version, options.ifVersion) !== 0) return table.apply(copies, options);
        for (;;) {
          const { version: ifVersion } = await table.snapshot();
          try {
            return await table.apply(copies, { ...options, ifVersion });
          } catch (error) {
            if (!isDinpError(error, "DINP_ROUTE_VERSION")) throw error;
          }
        }
      },
    }),
  ),

  brokenTable("half-applied table: the last change comes later", WHOLE, (table) => {
    let late: Route | null = null;
    return {
      apply: async (changes, options) => {
        const copies = structuredClone(changes);
        const { routes } = await table.snapshot();
        const last = copies.at(-1);
        const before =
          last?.op === "put" ? routes.find((route) => route.host === last.route.host) : undefined;
        const version = table.apply(copies, options);
        late = before ?? null;
        await pause();
        late = null;
        return version;
      },
      snapshot: async (options) => {
        const half = late;
        const { version, routes } = await table.snapshot(options);
        return { version, routes: routes.map((route) => (route.host === half?.host ? half : route)) };
      },
    };
  }),

  brokenTable("half-applied table: routes are deleted before they are written", WHOLE, (table) => {
    let running = 0;
    return {
      apply: async (changes, options) => {
        const version = table.apply(changes, options);
        running += 1;
        await pause();
        running -= 1;
        return version;
      },
      snapshot: async (options) => {
        const isHole = running > 0;
        const snapshot = await table.snapshot(options);
        return isHole ? { ...snapshot, routes: [] } : snapshot;
      },
    };
  }),

  brokenTable("a host in upper case is mended", "what is no route is misuse", (table) => ({
    apply: (changes, options) =>
      table.apply(
        changes.map((change) =>
          change.op === "put" && change.route.host === "A.test"
            ? { op: "put", route: { ...change.route, host: "a.test" } }
            : change,
        ),
        options,
      ),
  })),

  brokenTable(
    "an apply takes a thousand changes at most",
    "an apply may change thousands of routes",
    (table) => ({
      apply: (changes, options) => {
        if (changes.length <= 1_000) return table.apply(changes, options);
        return Promise.reject(new TypeError("Too many changes."));
      },
    }),
  ),

  brokenTable(
    "an apply that was made says that it was aborted",
    "an apply that is aborted while it runs is made, or rejects with DINP_ABORTED and is not",
    (table) => ({
      apply: async (changes, { signal, ...options }) => {
        assertNotAborted(signal);
        const version = await table.apply(changes, options);
        assertNotAborted(signal);
        return version;
      },
    }),
  ),

  ...tableWatchMutants,
  ...acknowledgementMutants,

  brokenTable("an apply takes its copies late", COPIES, (table) => ({
    apply: async (changes, options) => {
      await pause(1);
      return table.apply(changes, options);
    },
  })),

  brokenTable("abort ignored: an apply is made all the same", ABORTED, (table) => ({
    apply: (changes, { epoch, ifVersion }) => table.apply(changes, { epoch, ifVersion }),
  })),

  brokenTable("abort ignored: acknowledgements are read all the same", ABORTED, (table) => ({
    acknowledgements: () => table.acknowledgements(),
  })),

  brokenTable(
    "a closed table has no acknowledgements",
    "close ends watches, and after it every method rejects with DINP_CLOSED",
    (table) => ({
      acknowledgements: async (options) => {
        try {
          return await table.acknowledgements(options);
        } catch (error) {
          if (isDinpError(error, "DINP_CLOSED")) return [];
          throw error;
        }
      },
    }),
  ),

  brokenTable("error shown as an empty list", OUTAGE, (table) => ({
    acknowledgements: async (options) => {
      try {
        return await table.acknowledgements(options);
      } catch (error) {
        if (isDinpError(error, "DINP_UNAVAILABLE")) return [];
        throw error;
      }
    },
  })),

  brokenTable("error shown as an empty table", OUTAGE, (table) => ({
    snapshot: async (options) => {
      try {
        return await table.snapshot(options);
      } catch (error) {
        if (!isDinpError(error, "DINP_UNAVAILABLE")) throw error;
        return { version: { incarnation: "none", epoch: 0, revision: 0 }, routes: [] };
      }
    },
  })),
];

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The call was aborted.");
}
