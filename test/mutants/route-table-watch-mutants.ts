import { DinpError, type RouteTable } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenTable, brokenTableWatch } from "./support/broken-table.js";

const EVERY = "no version is lost while many are made and read, nor by a watch that reads late";
const BEHIND = "a watch from behind the end of the history gets a reset and ends";
const STRANGE = "a watch from a version that the table never had gets a reset and ends";
const SLOW = "a slow watch that falls behind the history gets a reset, and nothing is left out before";

/** Far enough behind that only a case about the end of the history comes there. */
const FAR = 20;

export const tableWatchMutants: readonly Mutant<RouteTable>[] = [
  brokenTableWatch(
    "a watch does not tell of deletes",
    "a watch yields every later version with its changes, in order",
    async function* (table, options) {
      for await (const event of table.watch(options)) {
        if (event.type === "reset") yield event;
        else yield { ...event, changes: event.changes.filter(({ op }) => op === "put") };
      }
    },
  ),

  brokenTableWatch("lost event: every fifth version", EVERY, async function* (table, options) {
    for await (const event of table.watch(options)) {
      if (event.type === "reset" || event.version.revision % 5 !== 0) yield event;
    }
  }),

  brokenTableWatch(
    "lost event: a late watch gets the newest version only",
    EVERY,
    async function* (table, options) {
      for await (const event of table.watch(options)) {
        const { version } = await table.snapshot();
        const isOld = event.type === "changes" && event.version.revision < version.revision - 1;
        if (!isOld || event.version.revision < version.revision - FAR) yield event;
      }
    },
  ),

  brokenTableWatch("a watch does not compare the incarnation", STRANGE, async function* (table, options) {
    const { incarnation } = options.signal.aborted ? options.after : (await table.snapshot()).version;
    yield* table.watch({ ...options, after: { ...options.after, incarnation } });
  }),

  brokenTableWatch(
    "a watch from too far back begins where the history does",
    BEHIND,
    async function* (table, options) {
      let isFirst = true;
      for await (const event of table.watch(options)) {
        const { version } = options.signal.aborted ? { version: options.after } : await table.snapshot();
        if (isFirst && event.type === "reset" && options.after.revision < version.revision - FAR) {
          yield* table.watch({ ...options, after: version });
          return;
        }
        isFirst = false;
        yield event;
      }
    },
  ),

  brokenTableWatch(
    "a watch whose signal has aborted rejects",
    "a watch ends without an error when its signal aborts",
    async function* (table, options) {
      if (options.signal.aborted) throw new DinpError("DINP_ABORTED", "The call was aborted.");
      yield* table.watch(options);
    },
  ),

  brokenTableWatch(
    "lost event: a slow watch skips what the history has dropped",
    SLOW,
    async function* (table, options) {
      let isFirst = true;
      for await (const event of table.watch(options)) {
        if (!isFirst && event.type === "reset") {
          yield* table.watch({ ...options, after: (await table.snapshot()).version });
          return;
        }
        isFirst = false;
        yield event;
      }
    },
  ),

  brokenTable(
    "close does not end watches",
    "close ends watches, and after it every method rejects with DINP_CLOSED",
    (table) => ({
      async *watch(options) {
        yield* table.watch(options);
        if (options.signal.aborted) return;
        await new Promise((resolve) => {
          options.signal.addEventListener("abort", resolve);
        });
      },
    }),
  ),
];
