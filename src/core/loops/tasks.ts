import { isDinpError, messageOf } from "../model/errors.js";
import type { Clock, Logger } from "../ports/system.js";
import { childController, ended, isAborted } from "./abort.js";

/**
 * Runs tasks side by side until all have ended. When one fails the others' signal aborts, and after they have ended
 * the first failure is thrown.
 */
export async function runTogether(
  tasks: readonly ((signal: AbortSignal) => Promise<void>)[],
  signal: AbortSignal,
): Promise<void> {
  const { controller: group, detach } = childController(signal);
  const failures: unknown[] = [];
  const guarded = tasks.map(async (task) => {
    try {
      await task(group.signal);
    } catch (error) {
      failures.push(error);
      group.abort(ended);
    }
  });
  await Promise.all(guarded);
  detach();
  const [first] = failures.filter((failure) => !isDinpError(failure, "DINP_ABORTED"));
  if (first !== undefined) throw first instanceof Error ? first : new Error(messageOf(first));
}

/** A growing pause between tries: 50 ms, doubling to 5 s, back to the start after a success. */
export class Backoff {
  readonly #clock: Clock;
  readonly #minMs: number;
  readonly #maxMs: number;
  #failures = 0;

  constructor(clock: Clock, minMs = 50, maxMs = 5_000) {
    this.#clock = clock;
    this.#minMs = minMs;
    this.#maxMs = maxMs;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Waits; returns early when the signal aborts. */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    await sleepQuietly(this.#clock, ms, signal);
  }
}

/** Sleeps; returns early, without an error, when the signal aborts. */
export async function sleepQuietly(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, { signal });
  } catch (error) {
    if (!isAborted(signal)) throw error;
  }
}

/**
 * Runs `step` again and again until the signal aborts; a failure is logged and followed by a growing pause.
 * Errors that `isFatal` names are thrown on.
 */
export async function repeatUntilAborted(
  name: string,
  step: (signal: AbortSignal) => Promise<void>,
  context: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly signal: AbortSignal;
    readonly isFatal?: (error: unknown) => boolean;
  },
): Promise<void> {
  const { clock, logger, signal, isFatal } = context;
  const backoff = new Backoff(clock);
  while (!isAborted(signal)) {
    try {
      await step(signal);
      backoff.succeeded();
    } catch (error) {
      if (isAborted(signal)) return;
      if (isFatal?.(error) === true) throw error;
      logger.warn(`${name} failed; it is tried again`, { error: messageOf(error), ...hintOf(error) });
      await backoff.pause(signal);
    }
  }
}

/** What to do about an error, for a line of the log; nothing when it does not say. */
export function hintOf(error: unknown): { readonly hint?: string } {
  return isDinpError(error) && error.hint !== undefined ? { hint: error.hint } : {};
}

/** Does `act` for each hint, one after the other. */
export async function forEachHint<T>(
  hints: AsyncIterable<T>,
  act: (hint: T) => Promise<void>,
): Promise<void> {
  for await (const hint of hints) await act(hint);
}
