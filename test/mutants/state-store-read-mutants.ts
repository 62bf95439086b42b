import {
  assertStoreKey,
  DinpError,
  storedRecord,
  type Kind,
  type ListOptions,
  type StateStore,
  type Stored,
  type Write,
} from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenStore, pause, presentRevision, type StorePort } from "./support/broken-store.js";

export const readMutants: readonly Mutant<StorePort>[] = [
  brokenStore(
    "get refuses a key that no record can have",
    "get returns the record with the revision of its commit, or null",
    (store) => ({
      get: async (kind, key, options) => {
        assertStoreKey(key, "The key");
        return store.get(kind, key, options);
      },
    }),
  ),

  brokenStore(
    "getUnique knows every name of a unique value",
    "getUnique finds the record that has the value now",
    (store) => ({
      getUnique: async (kind, unique, value, options) => {
        try {
          return await store.getUnique(kind, unique, value, options);
        } catch (error) {
          if (error instanceof TypeError && unique === "nothing") return null;
          throw error;
        }
      },
    }),
  ),

  brokenStore(
    "snapshot goes from the last key to the first",
    "snapshot has every record, in key order within a kind",
    (store) => ({
      snapshot: async (options) => {
        const { revision, records } = await store.snapshot(options);
        return { revision, records: [...records].reverse() };
      },
    }),
  ),

  brokenStore(
    "snapshot has a kind twice that is asked for twice",
    "snapshot has only the asked kinds",
    (store) => ({
      snapshot: async (options = {}) => {
        const { revision, records } = await store.snapshot(options);
        if (options.kinds === undefined) return { revision, records };
        const asked = options.kinds.flatMap((kind) => records.filter((record) => record.kind === kind));
        return { revision, records: asked };
      },
    }),
  ),

  brokenStore(
    "snapshot takes its revision before its records",
    "snapshot is of one revision while commits go on",
    (store) => ({
      snapshot: async (options = {}) => {
        const revision = await presentRevision(store);
        const { records } = await store.snapshot(options);
        return { revision, records };
      },
    }),
  ),

  brokenStore(
    "list goes in the order of the dictionary",
    "list goes in the order of bytes, from either end",
    (store) => ({
      async *list(kind, options = {}) {
        const records = [];
        for await (const stored of store.list(kind, options)) records.push(stored);
        const sign = options.reverse === true ? -1 : 1;
        for (const stored of records.sort((left, right) => sign * left.key.localeCompare(right.key))) {
          if (options.signal?.aborted === true) throw new DinpError("DINP_ABORTED", "Aborted.");
          yield stored;
        }
      },
    }),
  ),

  brokenStore("a limit of 0 is none", "list begins behind `after` and ends at `limit`", (store) => ({
    list: (kind, options = {}) => store.list(kind, options.limit === 0 ? without(options, "limit") : options),
  })),

  brokenStore("an unknown index is empty", "list selects by an index, whole values only", (store) => ({
    async *list(kind, options = {}) {
      try {
        yield* store.list(kind, options);
      } catch (error) {
        if (!(error instanceof TypeError && options.index !== undefined)) throw error;
      }
    },
  })),

  brokenStore("an index keeps a record's first value", "an index follows its records", (store) => {
    const first = new Map<string, Readonly<Record<string, string>>>();
    return {
      commit: (writes, options) => {
        rememberPlacements(first, writes);
        return store.commit(writes, options);
      },
      list: (kind, options = {}) => staleList(store, first, kind, options),
    };
  }),

  brokenStore(
    "a list ends after a thousand records",
    "a list of many pages is whole, and survives changes while it is read",
    (store) => ({
      list: (kind, options = {}) =>
        store.list(kind, options.limit === undefined ? { ...options, limit: 1_000 } : options),
    }),
  ),

  brokenStore(
    "a commit takes its copies late",
    "changing what went in or came out changes nothing in the store",
    (store) => ({
      commit: async (writes, options) => {
        await pause(1);
        return store.commit(writes, options);
      },
    }),
  ),

  brokenStore(
    "get hands out what it keeps",
    "changing what went in or came out changes nothing in the store",
    (store) => {
      const kept = new Map<string, { readonly revision: number; readonly value: unknown }>();
      return {
        get: async (kind, key, options) => {
          const stored = await store.get(kind, key, options);
          if (stored === null) return null;
          const { revision } = stored;
          let mine = kept.get(`${kind} ${key}`);
          if (mine?.revision !== revision) mine = { revision, value: structuredClone(stored.value) };
          kept.set(`${kind} ${key}`, mine);
          return storedRecord(kind, key, mine.value, revision);
        },
      };
    },
  ),
];

function without(options: ListOptions, name: "limit" | "index"): ListOptions {
  return Object.fromEntries(Object.entries(options).filter(([key]) => key !== name));
}

function rememberPlacements(
  first: Map<string, Readonly<Record<string, string>>>,
  writes: readonly Write[],
): void {
  for (const write of writes) {
    if (write.op !== "put" || write.kind !== "placement" || first.has(write.value.instanceId)) continue;
    first.set(write.value.instanceId, { app: write.value.appId, node: write.value.nodeId });
  }
}

async function* staleList<K extends Kind>(
  store: StateStore,
  first: ReadonlyMap<string, Readonly<Record<string, string>>>,
  kind: K,
  options: ListOptions,
): AsyncGenerator<Stored<K>, void> {
  const { index, limit = Infinity } = options;
  if (index === undefined) {
    yield* store.list(kind, options);
    return;
  }
  // Refuses an unknown index.
  for await (const stored of store.list(kind, { index, limit: 0 })) yield stored;
  let left = limit;
  for await (const stored of store.list(kind, without(without(options, "index"), "limit"))) {
    if (first.get(stored.key)?.[index.name] !== index.value) continue;
    if (left === 0) return;
    left -= 1;
    yield stored;
  }
}
