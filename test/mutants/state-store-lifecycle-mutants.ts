import { DinpError, isDinpError, type Lease } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenCommit, brokenStore, copyOf, pause, type StorePort } from "./support/broken-store.js";

const ABORTED_BEFORE = "an aborted signal rejects every call with DINP_ABORTED and changes nothing";
const OUTAGE =
  "while the backend does not answer every call rejects with DINP_UNAVAILABLE, retryable, and nothing looks empty";

export const lifecycleMutants: readonly Mutant<StorePort>[] = [
  brokenStore("open can be called again", "open is called once", (store) => {
    let isOpen = false;
    return {
      open: async (options) => {
        if (!isOpen) await store.open(options);
        isOpen = true;
      },
      close: () => {
        isOpen = false;
        return store.close();
      },
    };
  }),

  brokenStore(
    "a store that is not open has no records",
    "nothing else is called before open, and a store that was closed unopened stays closed",
    (store) => ({
      get: async (kind, key, options) => {
        try {
          return await store.get(kind, key, options);
        } catch (error) {
          if (error instanceof TypeError) return null;
          throw error;
        }
      },
    }),
  ),

  brokenStore(
    "a lease can be given up after close",
    "after close every method rejects with DINP_CLOSED",
    (store) => ({
      releaseLease: async (lease) => {
        try {
          await store.releaseLease(lease);
        } catch (error) {
          if (!isDinpError(error, "DINP_CLOSED")) throw error;
        }
      },
    }),
  ),

  brokenStore("close can be called once", "close can be called again, also at the same time", (store) => {
    let isClosed = false;
    return {
      close: async () => {
        if (isClosed) throw new DinpError("DINP_CLOSED", "The store is closed.");
        isClosed = true;
        await store.close();
      },
    };
  }),

  brokenStore("close ends watches with an error", "close ends watches without an error", (store) => {
    let isClosed = false;
    return {
      async *watch(options) {
        yield* store.watch(options);
        if (isClosed) throw new DinpError("DINP_CLOSED", "The store is closed.");
      },
      close: () => {
        isClosed = true;
        return store.close();
      },
    };
  }),

  brokenStore(
    "close forgets commits that it says were made",
    "close lets commits that were called before it end as they said",
    (store) => {
      let isClosing = false;
      return {
        commit: async (writes, options) => {
          const wasClosed = isClosing;
          const copies = copyOf(writes);
          await pause(3);
          return isClosing && !wasClosed ? { revision: 1 } : store.commit(copies, options);
        },
        close: () => {
          isClosing = true;
          return store.close();
        },
      };
    },
  ),

  brokenStore("abort ignored: a lease is taken all the same", ABORTED_BEFORE, (store) => ({
    tryAcquireLease: ({ name, holder, ttlMs }) => store.tryAcquireLease({ name, holder, ttlMs }),
  })),

  brokenCommit(
    "abort ignored: a commit is made all the same",
    ABORTED_BEFORE,
    (store) =>
      (writes, { fencing }) =>
        store.commit(writes, fencing === undefined ? {} : { fencing }),
  ),

  brokenStore(
    "a snapshot that is aborted while it runs is empty",
    "a read that is aborted while it runs is whole or rejects with DINP_ABORTED",
    (store) => ({
      snapshot: async (options = {}) => {
        const wasAborted = options.signal?.aborted ?? false;
        try {
          return await store.snapshot(options);
        } catch (error) {
          if (wasAborted || !isDinpError(error, "DINP_ABORTED")) throw error;
          return { revision: 0, records: [] };
        }
      },
    }),
  ),

  brokenCommit(
    "a commit that was made says that it was aborted",
    "a commit that is aborted while it runs is made, or rejects with DINP_ABORTED and is not",
    (store) =>
      async (writes, { signal, ...options }) => {
        assertNotAborted(signal);
        const made = await store.commit(writes, options);
        assertNotAborted(signal);
        return made;
      },
  ),

  brokenStore(
    "a list that is aborted in between just ends",
    "a list that is aborted in between rejects and is not cut short",
    (store) => ({
      async *list(kind, options) {
        let isBegun = false;
        try {
          for await (const stored of store.list(kind, options)) {
            isBegun = true;
            yield stored;
          }
        } catch (error) {
          if (!isBegun || !isDinpError(error, "DINP_ABORTED")) throw error;
        }
      },
    }),
  ),

  brokenStore("error shown as an empty list", OUTAGE, (store) => ({
    async *list(kind, options) {
      try {
        yield* store.list(kind, options);
      } catch (error) {
        if (!isDinpError(error, "DINP_UNAVAILABLE")) throw error;
      }
    },
  })),

  brokenStore("error shown as an absent record", OUTAGE, (store) => ({
    getUnique: async (kind, unique, value, options) => {
      try {
        return await store.getUnique(kind, unique, value, options);
      } catch (error) {
        if (isDinpError(error, "DINP_UNAVAILABLE")) return null;
        throw error;
      }
    },
  })),

  brokenStore(
    "a watch says nothing more after an outage",
    "a watch over an outage tells of every commit, or rejects with DINP_UNAVAILABLE",
    (store) => ({
      async *watch(options) {
        try {
          yield* store.watch(options);
        } catch (error) {
          if (!isDinpError(error, "DINP_UNAVAILABLE")) throw error;
          await new Promise((resolve) => {
            options.signal.addEventListener("abort", resolve);
          });
        }
      },
    }),
  ),

  brokenStore("leases do not outlive the store", "what was committed outlives the store", (store) => {
    const leases: Lease[] = [];
    return {
      tryAcquireLease: async (request) => {
        const lease = await store.tryAcquireLease(request);
        if (lease !== null) leases.push(lease);
        return lease;
      },
      close: async () => {
        const held = leases.splice(0);
        for (const lease of held) await store.releaseLease(lease);
        await store.close();
      },
    };
  }),
];

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The call was aborted.");
}
