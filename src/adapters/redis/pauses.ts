import { isDinpError } from "@dinp/core";
import { setTimeout as delay } from "node:timers/promises";

const FIRST_MS = 50;
const LONGEST_MS = 2_000;

/** Pauses between attempts: each twice as long as the one before, up to 2 s, and of any length between half and whole. */
export class Pauses {
  #nextMs = FIRST_MS;

  succeeded(): void {
    this.#nextMs = FIRST_MS;
  }

  /** Resolves early when the signal aborts. */
  async pause(signal: AbortSignal): Promise<void> {
    // Many watchers lose their connection at the same moment.
    const ms = this.#nextMs * (0.5 + Math.random() / 2);
    this.#nextMs = Math.min(LONGEST_MS, this.#nextMs * 2);
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }
}

/** What the question gives; undefined, after a pause, when Redis does not answer, and when the signal aborts. */
export async function patiently<T>(
  question: () => Promise<T>,
  pauses: Pauses,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    const answer = await question();
    pauses.succeeded();
    return signal.aborted ? undefined : answer;
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!isDinpError(error, "DINP_UNAVAILABLE")) throw error;
    await pauses.pause(signal);
    return undefined;
  }
}
