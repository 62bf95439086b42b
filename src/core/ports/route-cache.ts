import type { RouteChange, RouteTableSnapshot, RouteTableVersion } from "./route-table.js";

/**
 * The last good table of a router on its own disk: what it serves when it starts while nobody answers. A router says that
 * it has applied a table only when this one is not behind it: otherwise it could go back behind its word, to ports that
 * others have by then. What is written is durable when a call resolves. Errors: `DINP_UNAVAILABLE`, `DINP_ABORTED`.
 */
export interface RouteCache {
  /** The newest table that was written whole; null when there is none. */
  load(options?: { readonly signal?: AbortSignal }): Promise<RouteTableSnapshot | null>;
  /** Replaces what is there, atomically: a reader finds the old table or the new one. */
  save(snapshot: RouteTableSnapshot, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Adds the changes that lead from the table that was written last to `version`. */
  append(
    version: RouteTableVersion,
    changes: readonly RouteChange[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>;
  /** Forgets the table: nothing is found any more. */
  clear(): Promise<void>;
}
