import { DinpError } from "../../model/errors.js";
import type { Kind } from "../../model/kinds.js";
import type { Revision } from "../../model/records.js";
import type {
  CommitOptions,
  Lease,
  ListOptions,
  Snapshot,
  StateStore,
  Stored,
  WatchEvent,
  Write,
} from "../../ports/state-store.js";
import type { History } from "./history.js";
import type { SimProcess } from "./sim-process.js";

/** One process's way to the store that all share. */
export class SimStore implements StateStore {
  readonly #process: SimProcess;
  readonly #history: History;
  /** Since when it has no whole and followed view; null: it has one. */
  #blindSince: number | null = 0;

  constructor(process: SimProcess, history: History) {
    this.#process = process;
    this.#history = history;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  async snapshot(
    options: { readonly kinds?: readonly Kind[]; readonly signal?: AbortSignal } = {},
  ): Promise<Snapshot> {
    const { kinds, signal } = options;
    const isWhole = kinds === undefined || kinds.length > 1;
    const asked = kinds === undefined ? {} : { kinds };
    const perform = async (): Promise<Snapshot> => {
      const { faults, journal } = this.#process.world;
      const old = isWhole && faults.isLagging(this.#process.name) ? this.#history.oldPicture(kinds) : null;
      if (old !== null) journal.count("old snapshot");
      const snapshot = old ?? (await this.#inner.snapshot(asked));
      if (isWhole && faults.isReadCut("store")) throw cut();
      return snapshot;
    };
    const snapshot = await this.#process.call("store", "snapshot", perform, { signal });
    if (isWhole) this.#blindSince = null;
    return snapshot;
  }

  get<K extends Kind>(
    kind: K,
    key: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Stored<K> | null> {
    return this.#process.call("store", "get", () => this.#inner.get(kind, key), options);
  }

  getUnique<K extends Kind>(
    kind: K,
    unique: string,
    value: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Stored<K> | null> {
    return this.#process.call(
      "store",
      "getUnique",
      () => this.#inner.getUnique(kind, unique, value),
      options,
    );
  }

  /** A list that fails may have given some records before. */
  async *list<K extends Kind>(kind: K, options: ListOptions = {}): AsyncGenerator<Stored<K>> {
    const { signal, ...asked } = options;
    const all = await this.#process.call(
      "store",
      "list",
      async () => {
        const found: Stored<K>[] = [];
        for await (const stored of this.#inner.list(kind, asked)) found.push(stored);
        return found;
      },
      { signal },
    );
    const half = Math.ceil(all.length / 2);
    yield* all.slice(0, half);
    if (half === all.length) return;
    await this.#process.call("store", "list (rest)", () => Promise.resolve(), { signal });
    yield* all.slice(half);
  }

  commit(writes: readonly Write[], options: CommitOptions = {}): Promise<{ readonly revision: Revision }> {
    const { signal, fencing } = options;
    this.#history.noteIntent(this.#process.name, writes, fencing !== undefined, this.#blindSince);
    const asked = fencing === undefined ? {} : { fencing };
    const perform = (): Promise<{ readonly revision: Revision }> =>
      this.#history.commit(this.#process.name, writes, asked);
    return this.#process.call("store", "commit", perform, { isWrite: true, isCommit: true, signal });
  }

  watch(options: {
    readonly after: Revision;
    readonly kinds?: readonly Kind[];
    readonly signal: AbortSignal;
  }): AsyncIterable<WatchEvent> {
    const { signal } = options;
    return this.#process.watch<WatchEvent>(
      "store",
      (inner) => this.#inner.watch({ ...options, signal: inner }),
      {
        signal,
        gap: { type: "reset" },
        onEnd: () => {
          this.#blindSince = this.#history.now;
        },
      },
    );
  }

  tryAcquireLease(request: {
    readonly name: string;
    readonly holder: string;
    readonly ttlMs: number;
    readonly signal?: AbortSignal;
  }): Promise<Lease | null> {
    const { signal, ...asked } = request;
    return this.#process.call("store", "lease", () => this.#inner.tryAcquireLease(asked), {
      isWrite: true,
      signal,
    });
  }

  releaseLease(lease: Lease): Promise<void> {
    return this.#process.call("store", "release lease", () => this.#inner.releaseLease(lease), {
      isWrite: true,
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get #inner(): StateStore {
    return this.#history.store;
  }
}

function cut(): DinpError {
  return new DinpError("DINP_CORRUPT", "The simulated read ended in the middle of its rows.");
}
