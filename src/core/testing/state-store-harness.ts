import assert from "node:assert/strict";
import type { StateStore, WatchEvent } from "../ports/state-store.js";
import { Reader } from "./conformance.js";

/** What the suite needs of the store under test; one is asked for at each case. */
export interface StateStoreHarness {
  /** Opened, without records and with no lease of a name that the suite has used; revisions may have been used. */
  readonly store: StateStore;
  /** After so many commits, a watch from before them gets `reset`. At most a few hundred; 40 must not be enough. */
  readonly commitsToReset: number;
  /** The time that leases run on: `now` in milliseconds, `pass` lets at least so many go by. */
  readonly time: { readonly now: () => number; readonly pass: (ms: number) => Promise<void> };
  /** Another store that nobody has opened yet; the case closes it. */
  readonly unopened: () => StateStore;
  /** Closes the store and opens another over what it left. Null where the suite is told that nothing outlives a store. */
  readonly reopen: (() => Promise<StateStore>) | null;
  /** Keeps the backend from answering until the returned function is called. Null where the suite is told so. */
  readonly outage: (() => Promise<() => Promise<void>>) | null;
  /** Removes what the case left behind. */
  readonly dispose: () => Promise<void>;
}

/**
 * `fresh`: the case closes or reopens the store, so it must be its own. `any`: it may be one that other cases use too,
 * as long as it is emptied of records in between.
 */
export type StateStoreFactory = (need: "any" | "fresh") => Promise<StateStoreHarness>;

/** What only some stores can be asked to show. */
export interface StateStoreSupports {
  /** What is committed outlives the store. */
  readonly reopen: boolean;
  /** The harness can keep the backend from answering. */
  readonly outage: boolean;
}

export interface StoreCase {
  readonly name: string;
  readonly need: "any" | "fresh";
  readonly requires?: keyof StateStoreSupports;
  readonly stays?: string;
  readonly body: (harness: StateStoreHarness) => Promise<void>;
}

export function storeCase(
  name: string,
  body: (harness: StateStoreHarness) => Promise<void>,
  more: Partial<StoreCase> = {},
): StoreCase {
  return { name, need: "any", body, ...more };
}

export function freshStoreCase(
  name: string,
  body: (harness: StateStoreHarness) => Promise<void>,
  more: Partial<StoreCase> = {},
): StoreCase {
  return { name, need: "fresh", body, ...more };
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

type Commit = Extract<WatchEvent, { readonly type: "commit" }>;

/** A watch read step by step. Events that come twice, which a store may do, are checked against the first and left out. */
export class StoreWatch {
  readonly #controller = new AbortController();
  readonly #reader: Reader<WatchEvent>;
  readonly #seen = new Map<number, Commit>();

  constructor(store: StateStore, after: number) {
    this.#reader = new Reader(store.watch({ after, signal: this.#controller.signal }));
  }

  async next(): Promise<WatchEvent> {
    for (;;) {
      const event = await this.#reader.next();
      if (this.#isNew(event)) return event;
    }
  }

  /** The revisions of the next commits, which must be no reset. */
  async commits(count: number): Promise<readonly Commit[]> {
    const commits: Commit[] = [];
    while (commits.length < count) {
      const event = await this.next();
      assert.ok(event.type === "commit", "A reset came where a commit was due.");
      commits.push(event);
    }
    return commits;
  }

  stop(): void {
    this.#controller.abort();
  }

  async expectReset(): Promise<void> {
    assert.deepEqual(await this.next(), { type: "reset" });
    await this.#reader.expectEnd();
  }

  async expectEnd(): Promise<void> {
    for (let event = await this.#reader.nextOrEnd(); event !== null; event = await this.#reader.nextOrEnd()) {
      assert.ok(!this.#isNew(event), "The watch went on where it must end.");
    }
  }

  #isNew(event: WatchEvent): boolean {
    if (event.type === "reset") return true;
    const first = this.#seen.get(event.revision);
    if (first === undefined) {
      this.#seen.set(event.revision, structuredClone(event));
      return true;
    }
    assert.deepEqual(event, first, "A commit came twice, and not the same.");
    return false;
  }
}
