import { isDinpError } from "../model/errors.js";
import type { StateStore } from "../ports/state-store.js";

/** Where a write of a leader was refused because another one leads. */
export type FencedPlace = "store" | "table";

/** What a leader writes through. */
export type Committer = Pick<StateStore, "commit">;

/** The same store, of which each commit that is refused with `DINP_FENCED` is told. */
export function tellingStore(store: StateStore, onFenced: () => void): StateStore {
  return {
    open: (options) => store.open(options),
    snapshot: (options) => store.snapshot(options),
    get: (kind, key, options) => store.get(kind, key, options),
    getUnique: (kind, unique, value, options) => store.getUnique(kind, unique, value, options),
    list: (kind, options) => store.list(kind, options),
    commit: (writes, options) => tellingFenced(store.commit(writes, options), onFenced),
    watch: (options) => store.watch(options),
    tryAcquireLease: (request) => store.tryAcquireLease(request),
    releaseLease: (lease) => store.releaseLease(lease),
    close: () => store.close(),
  };
}

/** The outcome of a write; a refusal with `DINP_FENCED` is told first. */
export async function tellingFenced<T>(write: Promise<T>, onFenced: () => void): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (isDinpError(error, "DINP_FENCED")) onFenced();
    throw error;
  }
}
