import { DinpError, isDinpError, messageOf, type Clock, type StateStore } from "@dinp/core";

const EVERY_MS = 5_000;

/**
 * Asks the store now and then until the signal aborts. Rejects when it has broken down for good: with an error that no
 * waiting mends (not retryable), twice in a row.
 */
export async function watchStore(
  store: StateStore,
  clock: Clock,
  signal: AbortSignal,
  everyMs = EVERY_MS,
): Promise<void> {
  let failures = 0;
  while (!isAborted(signal)) {
    await clock.sleep(everyMs, { signal }).catch(() => undefined);
    if (isAborted(signal)) return;
    const failure = await ask(store, signal);
    failures = failure === null ? 0 : failures + 1;
    if (failure !== null && failures >= 2 && !isAborted(signal)) {
      throw new DinpError("DINP_UNAVAILABLE", `The store broke down: ${messageOf(failure)}`, {
        cause: failure,
        hint:
          "What was acknowledged is kept, and the apps go on running: start the platform again, and it takes them over. " +
          "If that happens again, look at the disk's space and the machine's memory.",
      });
    }
  }
}

/** Asked anew between two awaits. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** What the store failed with for good; null when it answered, or may again. */
async function ask(store: StateStore, signal: AbortSignal): Promise<unknown> {
  try {
    await store.get("setting", "cluster-id", { signal });
    return null;
  } catch (error) {
    return isDinpError(error) && error.retryable ? null : error;
  }
}
