import type { Clock } from "../ports/system.js";
import { ended, onAbort } from "./abort.js";

/** A latch between the one who has news and the one who waits for it: any number of wakes make one awakening. */
export class Wakeup {
  #set = false;
  #resolve: (() => void) | null = null;

  wake(): void {
    this.#set = true;
    this.#resolve?.();
  }

  /** Resolves when woken (at once if that was since the last wait), after `ms` (null: never), or when the signal aborts. */
  async wait(clock: Clock, ms: number | null, signal: AbortSignal): Promise<void> {
    if (!this.#set && !signal.aborted) {
      const timer = ms === null ? null : new AbortController();
      const { promise, resolve } = withResolver();
      this.#resolve = resolve;
      const detach = onAbort(signal, resolve);
      if (ms !== null && timer !== null) {
        clock.sleep(Math.max(0, ms), { signal: timer.signal }).then(resolve, () => undefined);
      }
      await promise;
      this.#resolve = null;
      detach();
      timer?.abort(ended);
    }
    this.#set = false;
  }
}

function withResolver(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
