import { isDinpError } from "../model/errors.js";
import type { StateStore } from "../ports/state-store.js";

/** Where a write of a leader was refused because another one leads. */
export type FencedPlace = "store" | "table";

/** What a leader writes through. */
export type Committer = Pick<StateStore, "commit">;

/** The outcome of a write; a refusal with `DINP_FENCED` is told first. */
export async function tellingFenced<T>(write: Promise<T>, onFenced: () => void): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (isDinpError(error, "DINP_FENCED")) onFenced();
    throw error;
  }
}
