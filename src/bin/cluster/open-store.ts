import { isDinpError, messageOf, type Clock, type Logger, type StateStore } from "@dinp/core";

const PAUSE_MS_MAX = 5_000;

/**
 * Opens the store, however long its database is away. Rejects with what no waiting mends, and with `DINP_ABORTED` when the
 * signal aborts.
 */
export async function openStore(
  store: StateStore,
  { clock, logger, signal }: { readonly clock: Clock; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  for (let pauseMs = 100; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
    try {
      await store.open({ signal });
      return;
    } catch (error) {
      if (signal.aborted || !isDinpError(error) || !error.retryable) throw error;
      logger.warn("the database does not answer yet; it is tried again", { error: messageOf(error) });
    }
    await clock.sleep(pauseMs, { signal });
  }
}
