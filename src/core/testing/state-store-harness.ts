import type { StateStore } from "../ports/state-store.js";

/** What the suite needs of the store under test; one is asked for at each case. */
export interface StateStoreHarness {
  /** Opened, without records and with no lease of a name that the suite has used; revisions may have been used. */
  readonly store: StateStore;
  /** After so many commits, a watch from before them gets `reset`. At most a few hundred; 40 must not be enough. */
  readonly commitsToReset: number;
  /** The time that leases run on: `now` in milliseconds, `pass` lets at least so many go by. */
  readonly time: { readonly now: () => number; readonly pass: (ms: number) => Promise<void> };
  /** Closes the store and opens another over what it left; null when nothing outlives the store. */
  readonly reopen: (() => Promise<StateStore>) | null;
  /** Removes what the case left behind. */
  readonly dispose: () => Promise<void>;
}

/**
 * `fresh`: the case closes or reopens the store, so it must be its own. `any`: it may be one that other cases use too,
 * as long as it is emptied of records in between.
 */
export type StateStoreFactory = (need: "any" | "fresh") => Promise<StateStoreHarness>;

export interface StoreCase {
  readonly name: string;
  readonly need: "any" | "fresh";
  readonly body: (harness: StateStoreHarness) => Promise<void>;
}

export function storeCase(name: string, body: (harness: StateStoreHarness) => Promise<void>): StoreCase {
  return { name, need: "any", body };
}

export function freshStoreCase(name: string, body: (harness: StateStoreHarness) => Promise<void>): StoreCase {
  return { name, need: "fresh", body };
}

export async function presentRevision(store: StateStore): Promise<number> {
  return (await store.snapshot({ kinds: [] })).revision;
}

let leases = 0;

/** The name of a lease that no other case uses. */
export function newLeaseName(): string {
  leases += 1;
  return `lease-${String(leases)}`;
}
