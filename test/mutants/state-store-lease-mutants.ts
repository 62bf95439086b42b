import { DinpError, type CommitOptions, type Lease, type StateStore } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenCommit, brokenStore, presentRevision, type StorePort } from "./support/broken-store.js";

type Request = Parameters<StateStore["tryAcquireLease"]>[0];

/** The lease that was last handed out under each name. */
class LastLeases {
  readonly #byName = new Map<string, Lease>();

  async acquire(store: StateStore, request: Request): Promise<Lease | null> {
    const lease = await store.tryAcquireLease(request);
    if (lease !== null) this.#byName.set(lease.name, lease);
    return lease;
  }

  forget(name: string): void {
    this.#byName.delete(name);
  }

  of(name: string): Lease | undefined {
    return this.#byName.get(name);
  }
}

export const leaseMutants: readonly Mutant<StorePort>[] = [
  brokenStore(
    "a lease says another time than was asked for",
    "a free lease is taken, and another holder does not get it",
    (store) => ({
      tryAcquireLease: async (request) => {
        const lease = await store.tryAcquireLease(request);
        return lease === null ? null : { ...lease, ttlMs: 1 };
      },
    }),
  ),

  brokenStore(
    "a renewal does not last anew",
    "its holder renews a lease, which keeps its epoch and lasts anew",
    (store) => {
      const last = new LastLeases();
      return {
        tryAcquireLease: async (request) => {
          const held = last.of(request.name);
          return held?.holder === request.holder ? held : last.acquire(store, request);
        },
        releaseLease: (lease) => {
          if (last.of(lease.name)?.epoch === lease.epoch) last.forget(lease.name);
          return store.releaseLease(lease);
        },
      };
    },
  ),

  brokenStore(
    "a lease lasts for a tenth of its time",
    "an expired lease goes to the next holder with a higher epoch, and not before",
    (store) => ({
      tryAcquireLease: async (request) => {
        const { ttlMs } = request;
        if (!Number.isSafeInteger(ttlMs) || ttlMs < 10) return store.tryAcquireLease(request);
        const lease = await store.tryAcquireLease({ ...request, ttlMs: Math.floor(ttlMs / 10) });
        return lease === null ? null : { ...lease, ttlMs };
      },
    }),
  ),

  brokenStore(
    "a lease that has expired is nobody's",
    "an expired lease that nobody took is still its holder's, with its epoch",
    (store, now) => {
      const expiries = new Map<string, number>();
      return {
        tryAcquireLease: async (request) => {
          const lease = await store.tryAcquireLease(request);
          if (lease !== null) expiries.set(lease.name, now() + lease.ttlMs);
          return lease;
        },
        commit: async (writes, options = {}) => {
          const { fencing } = options;
          if (fencing !== undefined && now() >= (expiries.get(fencing.lease) ?? Infinity)) throw fenced();
          return store.commit(writes, options);
        },
      };
    },
  ),

  brokenStore(
    "who gives a lease up and takes it again has the same epoch",
    "a lease that was given up goes to the next holder with a higher epoch",
    (store) => {
      const last = new LastLeases();
      const givenUp = new Map<string, Lease>();
      return {
        tryAcquireLease: async (request) => {
          const free = givenUp.get(request.name);
          givenUp.delete(request.name);
          if (free !== undefined && free.holder !== request.holder) await store.releaseLease(free);
          return last.acquire(store, request);
        },
        releaseLease: async (lease) => {
          await presentRevision(store);
          const held = last.of(lease.name);
          if (held?.epoch === lease.epoch) givenUp.set(lease.name, held);
          else await store.releaseLease(lease);
        },
        commit: async (writes, options = {}) => {
          const { fencing } = options;
          if (fencing !== undefined && givenUp.has(fencing.lease)) throw fenced();
          return store.commit(writes, options);
        },
      };
    },
  ),

  brokenStore("anyone can give a lease up", "giving up a lease that moved on does nothing", (store) => {
    const last = new LastLeases();
    return {
      tryAcquireLease: (request) => last.acquire(store, request),
      releaseLease: (lease) => store.releaseLease(last.of(lease.name) ?? lease),
    };
  }),

  brokenStore(
    "all who ask at the same time get the lease",
    "of those who ask at the same time one gets the lease",
    (store) => {
      let running = 0;
      return {
        tryAcquireLease: async (request) => {
          running += 1;
          const isRace = running > 1;
          const { name, holder, ttlMs } = request;
          try {
            const lease = await store.tryAcquireLease(request);
            return lease === null && isRace ? { name, holder, epoch: 1, ttlMs } : lease;
          } finally {
            running -= 1;
          }
        },
      };
    },
  ),

  brokenStore(
    "stale epoch accepted",
    "a commit under a lease is taken while the lease has that epoch",
    (store) => {
      const last = new LastLeases();
      return {
        tryAcquireLease: (request) => last.acquire(store, request),
        commit: (writes, options = {}) => {
          const { fencing } = options;
          const isStale = fencing !== undefined && fencing.epoch < (last.of(fencing.lease)?.epoch ?? 0);
          return store.commit(writes, isStale ? unfenced(options) : options);
        },
      };
    },
  ),

  brokenCommit(
    "stale epoch accepted: it is checked before the commit and not in it",
    "no commit of an old epoch lands once the next holder has the lease",
    (store) => async (writes, options) => {
      if (options.fencing === undefined) return store.commit(writes, options);
      const check = { op: "check", kind: "setting", key: "never-there", ifRevision: "absent" } as const;
      await store.commit([check], options);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      return store.commit(writes, unfenced(options));
    },
  ),

  brokenStore(
    "an unknown lease fences nothing",
    "a commit under a lease that is given up or unknown is fenced",
    (store) => {
      const last = new LastLeases();
      return {
        tryAcquireLease: (request) => last.acquire(store, request),
        commit: (writes, options = {}) => {
          const { fencing } = options;
          const isUnknown = fencing !== undefined && last.of(fencing.lease) === undefined;
          return store.commit(writes, isUnknown ? unfenced(options) : options);
        },
      };
    },
  ),

  brokenStore("a renewal makes revisions", "leases make no revision", (store) => {
    const last = new LastLeases();
    return {
      tryAcquireLease: async (request) => {
        const isRenewal = last.of(request.name)?.holder === request.holder;
        const lease = await last.acquire(store, request);
        if (!isRenewal) return lease;
        await store.commit([{ op: "put", kind: "setting", value: { key: "lease", value: request.holder } }]);
        await store.commit([{ op: "delete", kind: "setting", key: "lease" }]);
        return lease;
      },
    };
  }),

  brokenStore(
    "part of a millisecond is one",
    "a lease without a name, a holder or a time is misuse",
    (store) => ({
      tryAcquireLease: (request) => {
        const isPart = request.ttlMs > 0 && request.ttlMs < 1;
        return store.tryAcquireLease(isPart ? { ...request, ttlMs: 1 } : request);
      },
    }),
  ),
];

function unfenced({ signal }: CommitOptions): CommitOptions {
  return signal === undefined ? {} : { signal };
}

function fenced(): DinpError {
  return new DinpError("DINP_FENCED", "The lease has moved on.");
}
