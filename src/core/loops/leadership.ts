import { isDinpError, messageOf } from "../model/errors.js";
import type { Lease, StateStore } from "../ports/state-store.js";
import type { Clock, Logger } from "../ports/system.js";
import { childController, isAborted, onAbort } from "./abort.js";
import { Backoff, runTogether, sleepQuietly } from "./tasks.js";

export interface LeadershipOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The name of the lease. */
  readonly name: string;
  /** Who this is; two processes that may run at the same time must not share it. */
  readonly holder: string;
  readonly ttlMs: number;
  /** Told each time that the lease is asked for and another one holds it. */
  readonly onHeldByAnother?: () => void;
}

const RELEASE_MS_MAX = 2_000;

/** What came of asking for the lease: nothing is known of it when the store did not answer. */
type Asked = Lease | "held by another" | "unknown";

/**
 * Holds the lease whenever it can, and runs `work` while it does. The holder's signal aborts as soon as a renewal is told
 * that another one holds the lease, and else by its own monotonic clock, counted from before the last renewal was sent, a
 * fifth of the lease before anyone else can take it.
 */
export async function lead(
  options: LeadershipOptions,
  signal: AbortSignal,
  work: (lease: Lease, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, logger, name, holder, ttlMs } = options;
  const backoff = new Backoff(clock, 100, Math.max(100, ttlMs / 3));
  while (!isAborted(signal)) {
    const askedAt = clock.monotonicMs();
    const lease = await tryAcquire(options, signal);
    if (lease === "held by another" || lease === "unknown") {
      if (lease === "held by another") options.onHeldByAnother?.();
      await backoff.pause(signal);
      continue;
    }
    logger.info("leading", { lease: name, holder, epoch: lease.epoch });
    try {
      await hold(options, lease, askedAt, signal, work);
    } catch (error) {
      if (!isAborted(signal)) logger.warn("no longer leading", { lease: name, error: messageOf(error) });
    }
    if (isAborted(signal)) await giveUp(options, lease);
    else {
      // Work that fails at once, again and again, is begun anew ever more seldom.
      if (clock.monotonicMs() - askedAt >= ttlMs) backoff.succeeded();
      await backoff.pause(signal);
    }
  }
}

/** Bounded: without an answer the lease runs out by itself. */
async function giveUp({ store, clock }: LeadershipOptions, lease: Lease): Promise<void> {
  const timer = new AbortController();
  const released = store.releaseLease(lease).catch(() => undefined);
  await Promise.race([released, sleepQuietly(clock, RELEASE_MS_MAX, timer.signal)]);
  timer.abort();
}

async function tryAcquire(options: LeadershipOptions, signal: AbortSignal): Promise<Asked> {
  const { store, name, holder, ttlMs, logger } = options;
  try {
    return (await store.tryAcquireLease({ name, holder, ttlMs, signal })) ?? "held by another";
  } catch (error) {
    if (!isDinpError(error, "DINP_ABORTED"))
      logger.warn("the lease cannot be asked for", { error: messageOf(error) });
    return "unknown";
  }
}

async function hold(
  options: LeadershipOptions,
  lease: Lease,
  askedAt: number,
  signal: AbortSignal,
  work: (lease: Lease, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, logger, name, ttlMs } = options;
  let validUntil = askedAt + ttlMs * 0.8;
  const over = new AbortController();
  const renew = async (inner: AbortSignal): Promise<void> => {
    while (!isAborted(inner)) {
      await sleepQuietly(clock, ttlMs / 4, inner);
      if (isAborted(inner)) return;
      const sentAt = clock.monotonicMs();
      const renewed = await tryAcquire(options, inner);
      if (renewed === "unknown") continue;
      if (renewed !== "held by another" && renewed.epoch === lease.epoch) validUntil = sentAt + ttlMs * 0.8;
      else {
        logger.warn("no longer leading", { lease: name, reason: "another one holds the lease" });
        over.abort();
        return;
      }
    }
  };
  const expire = async (inner: AbortSignal): Promise<void> => {
    while (!isAborted(inner) && !isAborted(over.signal)) {
      const left = validUntil - clock.monotonicMs();
      if (left <= 0) over.abort();
      else await sleepQuietly(clock, left, inner);
    }
  };
  const { controller: end, detach } = childController(signal);
  const stop = (): void => {
    end.abort();
  };
  onAbort(over.signal, stop);
  const working = async (inner: AbortSignal): Promise<void> => {
    try {
      await work(lease, inner);
    } finally {
      stop();
    }
  };
  try {
    await runTogether([renew, expire, working], end.signal);
  } finally {
    detach();
  }
}
