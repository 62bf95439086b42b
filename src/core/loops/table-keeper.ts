import { messageOf } from "../model/errors.js";
import type { RouteCache } from "../ports/route-cache.js";
import type { RouteChange, RouteTableSnapshot, RouteTableVersion } from "../ports/route-table.js";
import type { Logger } from "../ports/system.js";
import { isAborted } from "./abort.js";

/** Changes that are added to a saved table before it is saved anew. */
const APPENDED_MAX = 1_000;

interface Change {
  readonly version: RouteTableVersion;
  readonly changes: readonly RouteChange[];
}

/** Keeps a router's saved table from falling behind the one that it serves. One call of `persist` at a time. */
export class TableKeeper {
  readonly #cache: RouteCache;
  readonly #logger: Logger;
  /** What is not saved yet; null: the whole table. */
  #unsaved: Change[] | null = null;
  #appended = 0;
  #persisting: Promise<unknown> = Promise.resolve();

  constructor(options: { readonly cache: RouteCache; readonly logger: Logger }) {
    this.#cache = options.cache;
    this.#logger = options.logger;
  }

  /** What was saved last; null when there is nothing that can be used. */
  async load(signal: AbortSignal): Promise<RouteTableSnapshot | null> {
    try {
      return await this.#cache.load({ signal });
    } catch (error) {
      if (!isAborted(signal)) this.#warn("the saved route table cannot be read", error);
      return null;
    }
  }

  /** Another table is served. */
  noteTable(): void {
    this.#unsaved = null;
  }

  /** The served table has changed. */
  noteChange(version: RouteTableVersion, changes: readonly RouteChange[]): void {
    if (this.#unsaved === null) return;
    if (this.#appended + this.#unsaved.length >= APPENDED_MAX) this.#unsaved = null;
    else this.#unsaved.push({ version, changes });
  }

  /**
   * Saves what is not saved yet of the served table, which `present` gives. True when a start would find nothing older than
   * that table; where it cannot be saved, that means: when a start would find nothing.
   */
  async persist(present: () => RouteTableSnapshot, signal: AbortSignal): Promise<boolean> {
    const persisting = this.#persist(present, signal);
    this.#persisting = persisting;
    return await persisting;
  }

  /** Removes what is saved; the next table is saved whole. `DINP_UNAVAILABLE`. */
  async discard(): Promise<void> {
    await this.#persisting;
    this.#unsaved = null;
    await this.#cache.clear();
  }

  async #persist(present: () => RouteTableSnapshot, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#save(present, signal);
      return true;
    } catch (error) {
      this.#unsaved = null;
      if (isAborted(signal)) return false;
      this.#warn("the route table cannot be saved for the next start", error);
      return await this.#clear();
    }
  }

  async #save(present: () => RouteTableSnapshot, signal: AbortSignal): Promise<void> {
    // More may come meanwhile: that is for the next call.
    for (let left = this.#unsaved?.length ?? 1; left > 0; left -= 1) {
      // A new table may take the place of changes that wait.
      if (this.#unsaved === null) {
        await this.#saveAll(present(), signal);
        return;
      }
      const next = this.#unsaved.shift();
      if (next === undefined) return;
      await this.#cache.append(next.version, next.changes, { signal });
      this.#appended += 1;
    }
  }

  async #saveAll(snapshot: RouteTableSnapshot, signal: AbortSignal): Promise<void> {
    this.#unsaved = [];
    this.#appended = 0;
    await this.#cache.save(snapshot, { signal });
  }

  async #clear(): Promise<boolean> {
    try {
      await this.#cache.clear();
      return true;
    } catch (error) {
      this.#warn("the saved route table cannot be removed either; no table is acknowledged", error);
      return false;
    }
  }

  #warn(message: string, error: unknown): void {
    this.#logger.warn(message, { error: messageOf(error) });
  }
}
