import { DinpError, recordChange, type RecordChange, type StateStore, type WatchEvent } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenStore, copyOf, presentRevision, type StorePort } from "./support/broken-store.js";

type WatchOptions = Parameters<StateStore["watch"]>[0];

function brokenWatch(
  name: string,
  caughtBy: string,
  watch: (store: StateStore, options: WatchOptions) => AsyncIterable<WatchEvent>,
): Mutant<StorePort> {
  return brokenStore(name, caughtBy, (store) => ({ watch: (options) => watch(store, options) }));
}

const BEHIND = "a watch from behind the end of the change log gets a reset and ends";
const SLOW = "a slow watch that falls behind the log gets a reset, and nothing is left out before";

export const watchMutants: readonly Mutant<StorePort>[] = [
  brokenWatch(
    "torn commit: a watch yields it change by change",
    "watch yields later commits as they come, each as a whole",
    async function* (store, options) {
      for await (const event of store.watch(options)) {
        if (event.type === "reset") yield event;
        else for (const change of event.changes) yield { ...event, changes: [change] };
      }
    },
  ),

  brokenWatch(
    "a watch yields the present values",
    "watch yields earlier commits first, with the values that they wrote",
    async function* (store, options) {
      for await (const event of store.watch(options)) {
        if (event.type === "reset") yield event;
        else yield { ...event, changes: await presentValues(store, event.changes) };
      }
    },
  ),

  brokenStore(
    "lost event: of two watches one gets it",
    "no commit is lost or out of order while many are made and read",
    (store) => {
      const taken = new Set<number>();
      let watches = 0;
      return {
        async *watch(options) {
          watches += 1;
          try {
            for await (const event of store.watch(options)) {
              if (event.type === "commit") {
                if (taken.has(event.revision)) continue;
                if (watches > 1) taken.add(event.revision);
              }
              yield event;
            }
          } finally {
            watches -= 1;
          }
        },
      };
    },
  ),

  brokenWatch(
    "lost event: every fifth",
    "no commit is lost or out of order while many are made and read",
    async function* (store, options) {
      for await (const event of store.watch(options)) {
        if (event.type === "reset" || event.revision % 5 !== 0) yield event;
      }
    },
  ),

  brokenStore(
    "snapshot takes its records before its revision",
    "a snapshot and a watch from its revision tell everything",
    (store) => ({
      snapshot: async (options) => {
        const { records } = await store.snapshot(options);
        return { revision: await presentRevision(store), records };
      },
    }),
  ),

  brokenWatch(
    "a watch of some kinds tells of all",
    "a watch of some kinds has only their changes",
    (store, { after, signal }) => store.watch({ after, signal }),
  ),

  brokenStore(
    "a delete of nothing is an event",
    "checks, deletes of nothing and leases make no event",
    (store) => {
      const extra = new Map<number, readonly RecordChange[]>();
      return {
        commit: async (writes, options) => {
          const copies = copyOf(writes);
          const absent: RecordChange[] = [];
          for (const write of copies) {
            if (write.op !== "delete" || (await store.get(write.kind, write.key)) !== null) continue;
            absent.push(recordChange(write.kind, write.key, null));
          }
          const made = await store.commit(copies, options);
          if (absent.length > 0) extra.set(made.revision, absent);
          return made;
        },
        async *watch(options) {
          for await (const event of store.watch(options)) {
            if (event.type === "reset") yield event;
            else yield { ...event, changes: [...event.changes, ...(extra.get(event.revision) ?? [])] };
          }
        },
      };
    },
  ),

  brokenWatch(
    "a watch whose signal has aborted rejects",
    "a watch ends without an error when its signal aborts",
    async function* (store, options) {
      if (options.signal.aborted) throw new DinpError("DINP_ABORTED", "The call was aborted.");
      yield* store.watch(options);
    },
  ),

  brokenWatch(
    "a watch waits for a revision that the store has not reached",
    "a watch from a revision that the store has not reached gets a reset and ends",
    async function* (store, options) {
      for await (const event of store.watch(options)) {
        const isAhead = event.type === "reset" && options.after > (await presentRevision(store));
        if (isAhead) await aborted(options.signal);
        else yield event;
      }
    },
  ),

  brokenWatch("a watch goes on after a reset", SLOW, async function* (store, options) {
    for await (const event of store.watch(options)) {
      yield event;
      if (event.type === "reset") await aborted(options.signal);
    }
  }),

  brokenWatch(
    "a watch from too far back begins where the log does",
    BEHIND,
    async function* (store, options) {
      let isFirst = true;
      for await (const event of store.watch(options)) {
        const present = event.type === "reset" ? await presentRevision(store) : 0;
        if (isFirst && options.after < present) {
          yield* store.watch({ ...options, after: present - 1 });
          return;
        }
        isFirst = false;
        yield event;
      }
    },
  ),

  brokenWatch(
    "lost event: a slow watch skips what the log has dropped",
    SLOW,
    async function* (store, options) {
      let isFirst = true;
      for await (const event of store.watch(options)) {
        if (!isFirst && event.type === "reset") {
          yield* store.watch({ ...options, after: await presentRevision(store) });
          return;
        }
        isFirst = false;
        yield event;
      }
    },
  ),

  brokenWatch("a negative revision is the first one", "a revision that is none is misuse", (store, options) =>
    store.watch({ ...options, after: Math.max(0, options.after) }),
  ),
];

async function presentValues(
  store: StateStore,
  changes: readonly RecordChange[],
): Promise<readonly RecordChange[]> {
  const present: RecordChange[] = [];
  for (const { kind, key } of changes) {
    present.push(recordChange(kind, key, (await store.get(kind, key))?.value ?? null));
  }
  return present;
}

async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve);
  });
}
