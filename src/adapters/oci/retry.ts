import type { DinpError } from "@dinp/core";
import { isDinpError, type Clock, type Random } from "@dinp/core";
import type { OciLimits } from "./options.js";

export interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: OciLimits;
}

/** Whether an error may be gone at the next attempt. */
export function isTransient(error: unknown): error is DinpError {
  return isDinpError(error, "DINP_UNAVAILABLE") && error.retryable;
}

/**
 * Waits before attempt `attempt` + 1, or throws the error when there is none: not a transient one, the last attempt, or a
 * `Retry-After` that is too long. The wait is random between nothing and a bound that doubles (full jitter), and never
 * shorter than a `Retry-After`.
 */
export async function backOff(
  error: unknown,
  attempt: number,
  { clock, random, limits }: RetryOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!isTransient(error) || attempt >= limits.attempts) throw error;
  const wanted = error.details["retryAfterMs"];
  const retryAfterMs = typeof wanted === "number" ? wanted : 0;
  if (retryAfterMs > limits.retryAfterMsMax) throw error;
  const bound = Math.min(limits.retryMsMax, limits.retryMs * 2 ** (attempt - 1));
  await clock.sleep(retryAfterMs + random.next() * bound, signal === undefined ? {} : { signal });
}

/** Runs an operation until it succeeds or fails for good. */
export async function retrying<T>(
  options: RetryOptions,
  signal: AbortSignal | undefined,
  operation: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await operation();
    } catch (error) {
      await backOff(error, attempt, options, signal);
    }
  }
}

/** A `Retry-After` (RFC 9110 section 10.2.3: seconds or a date) in milliseconds from `now`; null for none. */
export function parseRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
