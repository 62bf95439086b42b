import type { Revision } from "@dinp/core";
import { setTimeout as delay } from "node:timers/promises";
import { WakeUp } from "./wake-up.js";

export interface ChangePollerOptions {
  readonly pollMs: number;
  /** The store's present revision. */
  readonly readRevision: () => Promise<Revision>;
}

/**
 * Lets watches wait until there is something new, by one question in each `pollMs` for all of them, and by none while
 * nobody waits; `notify` is the short way for those who know sooner.
 */
export class ChangePoller {
  readonly #options: ChangePollerOptions;
  readonly #wakeUp = new WakeUp();
  /** What each that waits has seen. */
  readonly #waiting = new Map<symbol, Revision>();
  #polling: AbortController | null = null;

  constructor(options: ChangePollerOptions) {
    this.#options = options;
  }

  get version(): number {
    return this.#wakeUp.version;
  }

  notify(): void {
    this.#wakeUp.notify();
  }

  /**
   * Resolves when the store has, or may have, another revision than `seen`, `notify` was called since `version` was
   * read, or the signal aborts. Also when the store could not be asked: who waits will see the same.
   */
  async changedSince(version: number, seen: Revision, signal: AbortSignal): Promise<void> {
    const id = Symbol();
    this.#waiting.set(id, seen);
    if (this.#polling === null) {
      this.#polling = new AbortController();
      void this.#poll(this.#polling.signal);
    }
    try {
      await this.#wakeUp.changedSince(version, signal);
    } finally {
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) {
        this.#polling.abort();
        this.#polling = null;
      }
    }
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { pollMs, readRevision } = this.#options;
    for (;;) {
      const present = await delay(pollMs, null, { signal })
        .then(readRevision)
        .catch(() => null);
      if (signal.aborted) return;
      if ([...this.#waiting.values()].some((seen) => seen !== present)) this.#wakeUp.notify();
    }
  }
}
