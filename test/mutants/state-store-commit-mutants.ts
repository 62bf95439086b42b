import {
  DinpError,
  isDinpError,
  isStoreKey,
  storedRecord,
  type JsonValue,
  type StateStore,
  type Write,
} from "@dinp/core";
import type { Mutant } from "./matrix.js";
import {
  brokenCommit,
  brokenStore,
  keyOf,
  notUnique,
  pause,
  presentRevision,
  type StorePort,
} from "./support/broken-store.js";

export const commitMutants: readonly Mutant<StorePort>[] = [
  brokenStore(
    "only the first record of a commit has its revision",
    "each commit that changes something takes the next revision",
    (store) => {
      const others = new Set<string>();
      return {
        commit: (writes, options) => {
          writes.forEach((write, index) => {
            const id = `${write.kind} ${keyOf(write)}`;
            if (index === 0) others.delete(id);
            else others.add(id);
          });
          return store.commit(writes, options);
        },
        get: async (kind, key, options) => {
          const stored = await store.get(kind, key, options);
          if (stored === null || !others.has(`${kind} ${key}`)) return stored;
          return storedRecord(kind, key, stored.value, 0);
        },
      };
    },
  ),

  brokenCommit(
    "a commit that changes nothing returns a revision of its own",
    "a commit that changes nothing returns the present revision",
    (store) => async (writes, options) => {
      const before = await presentRevision(store);
      const { revision } = await store.commit(writes, options);
      return { revision: revision === before ? before + 1 : revision };
    },
  ),

  brokenCommit(
    "a deleted key cannot be put again",
    "a write without ifRevision is unconditional",
    (store) => {
      const deleted = new Set<string>();
      return async (writes, options) => {
        for (const write of writes) {
          const key = keyOf(write);
          if (write.op === "delete" && (await store.get(write.kind, key)) !== null) {
            deleted.add(`${write.kind} ${key}`);
          } else if (
            write.op === "put" &&
            write.ifRevision === undefined &&
            deleted.has(`${write.kind} ${key}`)
          ) {
            throw new DinpError("DINP_CONFLICT", "It was deleted.");
          }
        }
        return store.commit(writes, options);
      };
    },
  ),

  brokenCommit(
    "ignored compare-and-set: a check that wants no record",
    "a put or check that wants no record refuses one",
    (store) => async (writes, options) => {
      const rest = writes.filter(({ op, ifRevision }) => !(op === "check" && ifRevision === "absent"));
      return retriedOn("DINP_CONFLICT", store, writes, rest, options);
    },
  ),

  brokenCommit(
    "ignored compare-and-set: the revision that a delete wants",
    "a put, delete or check that wants a revision refuses another one",
    (store) => async (writes, options) => {
      const rest = writes.map((write) => (write.op === "delete" ? withoutRevision(write) : write));
      return retriedOn("DINP_CONFLICT", store, writes, rest, options);
    },
  ),

  brokenCommit(
    "torn commit: what came before the conflict is kept",
    "a commit is applied as a whole or not at all",
    (store) => async (writes, options) => {
      try {
        return await store.commit(writes, options);
      } catch (error) {
        if (!isDinpError(error, "DINP_CONFLICT")) throw error;
        for (const write of writes) if (write.ifRevision === undefined) await store.commit([write]);
        throw error;
      }
    },
  ),

  brokenCommit(
    "ignored compare-and-set: it is checked before the commit and not in it",
    "of writers that compare and set at the same time, each round has one winner",
    (store) => async (writes, options) => {
      for (const write of writes) {
        const present = (await store.get(write.kind, keyOf(write)))?.revision ?? 0;
        const wanted = write.ifRevision === "absent" ? 0 : (write.ifRevision ?? present);
        if (write.op === "check" || wanted !== present) return store.commit(writes, options);
      }
      return store.commit(writes.map(withoutRevision), options);
    },
  ),

  brokenCommit(
    "a commit returns the newest revision in place of its own",
    "commits at the same time take revisions without holes or doubles",
    (store) => async (writes, options) => {
      const made = await store.commit(writes, options);
      await pause(60);
      return { revision: await presentRevision(store).catch(() => made.revision) };
    },
  ),

  brokenStore(
    "hole in the revisions",
    "commits at the same time take revisions without holes or doubles",
    (store) => {
      const outside = (revision: number): number => (revision > 2 ? revision + 1 : revision);
      return {
        commit: async (writes, options) => {
          const { revision } = await store.commit(writes, options);
          return { revision: outside(revision) };
        },
        snapshot: async (options) => {
          const { revision, records } = await store.snapshot(options);
          return { revision: outside(revision), records };
        },
      };
    },
  ),

  brokenCommit(
    "a commit takes two thousand writes at most",
    "a commit may write thousands of records",
    (store) => async (writes, options) => {
      if (writes.length > 2_000) throw new TypeError("Too many writes.");
      return store.commit(writes, options);
    },
  ),

  brokenCommit(
    "half characters are mended",
    "records come back as JSON carries them",
    (store) => (writes, options) => store.commit(writes.map(mended), options),
  ),

  brokenCommit(
    "a check of a record that is written too is left out",
    "a commit without writes, or with two writes to one key, is misuse",
    (store) => (writes, options) => {
      const written = new Set(writes.filter(({ op }) => op !== "check").map(keyOf));
      return store.commit(
        writes.filter((write) => write.op !== "check" || !written.has(write.key)),
        options,
      );
    },
  ),

  brokenCommit(
    "deleting an illegal key does nothing",
    "an illegal key is misuse, and a legal one is taken",
    (store) => async (writes, options) => {
      const [write] = writes;
      if (write?.op !== "delete" || isStoreKey(write.key)) return store.commit(writes, options);
      return { revision: await presentRevision(store) };
    },
  ),

  brokenCommit(
    "a number that is none becomes 0",
    "a value that JSON does not carry is misuse",
    (store) => (writes, options) => store.commit(writes.map(countable), options),
  ),

  brokenCommit(
    "torn commit: what came before a taken name is kept",
    "no two records have one unique value",
    (store) => async (writes, options) => {
      try {
        return await store.commit(writes, options);
      } catch (error) {
        const [first, second] = writes;
        if (isDinpError(error, "DINP_NOT_UNIQUE") && first !== undefined && second !== undefined) {
          await store.commit([first]);
        }
        throw error;
      }
    },
  ),

  brokenCommit(
    "a record's own name is taken",
    "a record keeps its own unique value when it is written again",
    (store) => async (writes, options) => {
      for (const { id, name } of liveApps(writes)) {
        if ((await store.getUnique("app", "name", name))?.key === id) throw notUnique(name);
      }
      return store.commit(writes, options);
    },
  ),

  brokenCommit(
    "a tombstone keeps its name",
    "a unique value is free again after a rename, a tombstone or a delete",
    (store) => {
      const buried = new Set<string>();
      return async (writes, options) => {
        for (const { name } of liveApps(writes)) if (buried.has(name)) throw notUnique(name);
        for (const write of writes) {
          if (write.op === "put" && write.kind === "app" && write.value.deletedAt !== null) {
            buried.add(write.value.name);
          }
        }
        return store.commit(writes, options);
      };
    },
  ),

  brokenCommit(
    "unique values are judged write by write",
    "unique values can change hands within one commit",
    (store) => async (writes, options) => {
      for (const { id, name } of liveApps(writes)) {
        const owner = await store.getUnique("app", "name", name);
        if (owner !== null && owner.key !== id) throw notUnique(name);
      }
      return store.commit(writes, options);
    },
  ),

  brokenCommit(
    "unique values of all kinds are in one room",
    "a unique value belongs to its kind and name alone",
    (store) => async (writes, options) => {
      const names = new Set(liveApps(writes).map(({ name }) => name));
      for (const write of writes) {
        if (write.op === "put" && write.kind === "token" && names.has(write.value.hash)) {
          throw notUnique(write.value.hash);
        }
      }
      return store.commit(writes, options);
    },
  ),

  brokenCommit(
    "who loses a race for a name is told that it won",
    "of commits that take one unique value at the same time, one wins",
    (store) => {
      let running = 0;
      return async (writes, options) => {
        running += 1;
        const isRace = running > 1;
        try {
          return await store.commit(writes, options);
        } catch (error) {
          if (!isRace || !isDinpError(error, "DINP_NOT_UNIQUE")) throw error;
          return { revision: 1 };
        } finally {
          running -= 1;
        }
      };
    },
  ),
];

async function retriedOn(
  code: "DINP_CONFLICT",
  store: StateStore,
  writes: readonly Write[],
  rest: readonly Write[],
  options: Parameters<StateStore["commit"]>[1],
): ReturnType<StateStore["commit"]> {
  try {
    return await store.commit(writes, options);
  } catch (error) {
    if (!isDinpError(error, code) || rest.length === 0) throw error;
    return store.commit(rest, options);
  }
}

function withoutRevision(write: Write): Write {
  if (write.op === "check") return write;
  const { ifRevision, ...rest } = write;
  return ifRevision === undefined ? write : rest;
}

function liveApps(writes: readonly Write[]): readonly { readonly id: string; readonly name: string }[] {
  return writes.flatMap((write) =>
    write.op === "put" && write.kind === "app" && write.value.deletedAt === null ? [write.value] : [],
  );
}

function mended(write: Write): Write {
  if (write.op !== "put" || write.kind !== "idempotency") return write;
  return { ...write, value: { ...write.value, response: mendedValue(write.value.response) } };
}

function mendedValue(value: JsonValue): JsonValue {
  if (typeof value === "string") return value.replaceAll("\ud800 ", "\ufffd ");
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mendedValue(item)]));
}

function countable(write: Write): Write {
  if (write.op !== "put" || write.kind !== "app" || Number.isFinite(write.value.instances)) return write;
  return { ...write, value: { ...write.value, instances: 0 } };
}
