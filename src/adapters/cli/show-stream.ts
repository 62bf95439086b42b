import type { Context } from "./context.js";
import { isOutage } from "./wait-guards.js";

/** How long a followed stream may be without an API before it ends. */
const RECONNECT_MS = 30_000;

/** Calls `show` for every value; a followed stream that breaks is opened again, for a bounded time. `loss`: what that may cost. */
export async function showEach<T>(
  context: Context,
  isFollowed: boolean,
  open: () => AsyncIterable<T>,
  show: (value: T) => void,
  loss = "",
): Promise<void> {
  let brokenSince: number | null = null;
  for (;;) {
    try {
      for await (const value of open()) {
        brokenSince = null;
        show(value);
        await context.out.drained(context.signal);
      }
      if (!isFollowed || context.signal.aborted) return;
      brokenSince ??= context.now();
    } catch (error) {
      if (context.signal.aborted) return;
      if (!isFollowed || !isOutage(error)) throw error;
      if (brokenSince === null) context.err.line(`Lost the connection to the API; trying again${loss}`);
      brokenSince ??= context.now();
      if (context.now() - brokenSince >= RECONNECT_MS) throw error;
    }
    await context.pause(500);
  }
}
