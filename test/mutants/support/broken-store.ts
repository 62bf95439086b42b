import { DinpError, type CommitOptions, type StateStore, type Write } from "@dinp/core";
import type { StateStoreHarness } from "@dinp/core/testing";
import type { Mutant } from "../matrix.js";
import { Backing, DurableStore } from "./durable-store.js";

/** A store, and the time that its leases run on. */
export interface StorePort {
  readonly store: StateStore;
  readonly now: () => number;
}

const CHANGE_LOG_COMMITS = 40;

/** A harness whose stores are all wrapped by `mutate`. */
export async function storeHarness(mutate: (port: StorePort) => StorePort): Promise<StateStoreHarness> {
  const backing = new Backing(CHANGE_LOG_COMMITS);
  await backing.store.open();
  const now = (): number => backing.clock.monotonicMs();
  const unopened = (): StateStore => mutate({ store: new DurableStore(backing), now }).store;
  let store = unopened();
  await store.open();
  return {
    store,
    commitsToReset: 2 * CHANGE_LOG_COMMITS,
    time: { now, pass: (ms) => backing.clock.pass(ms) },
    unopened,
    reopen: async () => {
      await store.close().catch(() => undefined);
      store = unopened();
      await store.open();
      return store;
    },
    outage: () => {
      backing.fail();
      return Promise.resolve(() => {
        backing.recover();
        return Promise.resolve();
      });
    },
    dispose: () => backing.store.close(),
  };
}

/** A store that does what `breaks` says, and everything else as the good one that it is given. */
export function brokenStore(
  name: string,
  caughtBy: string,
  breaks: (store: StateStore, now: () => number) => Partial<StateStore>,
): Mutant<StorePort> {
  return {
    name,
    caughtBy,
    mutate: ({ store, now }) => ({ now, store: { ...forwarding(store), ...breaks(store, now) } }),
  };
}

type Commit = StateStore["commit"];

/** A store whose commits take their copies at once and then go through `commit`. */
export function brokenCommit(
  name: string,
  caughtBy: string,
  breaks: (store: StateStore) => (writes: readonly Write[], options: CommitOptions) => ReturnType<Commit>,
): Mutant<StorePort> {
  return brokenStore(name, caughtBy, (store) => {
    const commit = breaks(store);
    return { commit: (writes, options = {}) => commit(copyOf(writes), options) };
  });
}

function forwarding(store: StateStore): StateStore {
  return {
    open: (options) => store.open(options),
    snapshot: (options) => store.snapshot(options),
    get: (kind, key, options) => store.get(kind, key, options),
    getUnique: (kind, unique, value, options) => store.getUnique(kind, unique, value, options),
    list: (kind, options) => store.list(kind, options),
    commit: (writes, options) => store.commit(writes, options),
    watch: (options) => store.watch(options),
    tryAcquireLease: (request) => store.tryAcquireLease(request),
    releaseLease: (lease) => store.releaseLease(lease),
    close: () => store.close(),
  };
}

export function copyOf(writes: readonly Write[]): readonly Write[] {
  try {
    return structuredClone(writes);
  } catch {
    // Nested too deeply to be taken by any store.
    return writes;
  }
}

export async function presentRevision(store: StateStore): Promise<number> {
  return (await store.snapshot({ kinds: [] })).revision;
}

/** Some rounds of the microtask queue, in which others go on. */
export async function pause(rounds = 8): Promise<void> {
  for (let round = 0; round < rounds; round += 1) await Promise.resolve();
}

export function notUnique(value: string): DinpError {
  return new DinpError("DINP_NOT_UNIQUE", "Another app has the name.", {
    details: { kind: "app", unique: "name", value },
  });
}

export function keyOf(write: Write): string {
  if (write.op !== "put") return write.key;
  switch (write.kind) {
    case "setting":
    case "idempotency":
      return write.value.key;
    case "placement":
    case "instanceStatus":
      return write.value.instanceId;
    case "rollout":
    case "crash":
      return write.value.releaseId;
    case "buildLog":
      return write.value.buildId;
    case "base":
      return write.value.name;
    case "nodeCredential":
      return write.value.nodeId;
    case "registryAccount":
      return `${write.value.teamId}/${write.value.host}`;
    case "secretVersion":
      return `${write.value.appId}/${write.value.name}/${String(write.value.version)}`;
    case "withdrawal":
      return `${write.value.instanceId}/${write.value.monitorId}`;
    case "domain":
      return `${write.value.host}${write.value.path}`;
    default:
      return write.value.id;
  }
}
