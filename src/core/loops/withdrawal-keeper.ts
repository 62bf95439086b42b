import { isDinpError } from "../model/errors.js";
import { monitorLease, withdrawalKey, type Withdrawal } from "../model/withdrawal.js";
import type { Lease, StateStore, Write } from "../ports/state-store.js";
import type { Clock, Logger, Random } from "../ports/system.js";
import { isAborted } from "./abort.js";
import { EventLog } from "./events.js";
import type { StateFollower } from "./state-follower.js";
import { repeatUntilAborted, sleepQuietly } from "./tasks.js";

export interface WithdrawalKeeperOptions {
  readonly store: StateStore;
  readonly follower: StateFollower;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The leader's. */
  readonly lease: Lease;
  /** How often it looks. Default 2 s. */
  readonly everyMs?: number;
}

/** How long a dead monitor's lease is held while its withdrawals are deleted, at most. */
const HELD_MS = 5_000;
const DELETES_PER_COMMIT = 100;

/**
 * Deletes withdrawals that nobody stands for any more: those of instances that are gone, and those of monitors whose lease has
 * run out by the store's own clock. A leader's part.
 */
export class WithdrawalKeeper {
  readonly #options: WithdrawalKeeperOptions;
  readonly #log: EventLog;

  constructor(options: WithdrawalKeeperOptions) {
    this.#options = options;
    this.#log = new EventLog(options.random);
  }

  /** Looks now and again until the signal aborts; throws `DINP_FENCED` when another leads. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, everyMs = 2_000 } = this.#options;
    const isFatal = (error: unknown): boolean => isDinpError(error, "DINP_FENCED");
    const step = async (inner: AbortSignal): Promise<void> => {
      await this.#look(inner);
      await sleepQuietly(clock, everyMs, inner);
    };
    await repeatUntilAborted("keeping withdrawals", step, { clock, logger, signal, isFatal });
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { view } = this.#options.follower;
    if (!this.#options.follower.fresh) return;
    const all = [...view.all("withdrawal")];
    const isGone = ({ instanceId }: Withdrawal): boolean =>
      view.get("instanceStatus", instanceId) === undefined;
    await this.#delete(all.filter(isGone), null, signal);
    const left = all.filter((withdrawal) => !isGone(withdrawal));
    for (const monitorId of new Set(left.map((withdrawal) => withdrawal.monitorId))) {
      if (isAborted(signal)) return;
      await this.#lookAfter(
        monitorId,
        left.filter((withdrawal) => withdrawal.monitorId === monitorId),
        signal,
      );
    }
  }

  /** Whoever can take a monitor's lease knows that it holds it no more. */
  async #lookAfter(
    monitorId: string,
    withdrawals: readonly Withdrawal[],
    signal: AbortSignal,
  ): Promise<void> {
    const { store, lease } = this.#options;
    const holder = `${lease.name}/${String(lease.epoch)}`;
    const name = monitorLease(monitorId);
    const taken = await store.tryAcquireLease({ name, holder, ttlMs: HELD_MS, signal });
    if (taken === null) return;
    try {
      await this.#delete(withdrawals, `${monitorId}, which withdrew it, is not there any more`, signal);
    } finally {
      // It runs out by itself when that fails.
      await store.releaseLease(taken).catch(() => undefined);
    }
  }

  /** `reason` null: there is nobody to tell it of. */
  async #delete(
    withdrawals: readonly Withdrawal[],
    reason: string | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, lease } = this.#options;
    const fencing = { lease: lease.name, epoch: lease.epoch };
    for (let start = 0; start < withdrawals.length; start += DELETES_PER_COMMIT) {
      const batch = withdrawals.slice(start, start + DELETES_PER_COMMIT);
      const writes = batch.flatMap((withdrawal) => this.#writesOf(withdrawal, reason));
      try {
        await store.commit(writes, { fencing, signal });
      } catch (error) {
        // Its monitor took it back meanwhile, or is there again: the next look sees it.
        if (!isDinpError(error, "DINP_CONFLICT")) throw error;
      }
    }
  }

  #writesOf(withdrawal: Withdrawal, reason: string | null): readonly Write[] {
    const { follower, clock } = this.#options;
    const { instanceId, appId } = withdrawal;
    const key = withdrawalKey(withdrawal);
    const ifRevision = follower.view.revisionOf("withdrawal", key);
    const deletion: Write = { op: "delete", kind: "withdrawal", key, ifRevision };
    if (reason === null) return [deletion];
    const appName = follower.view.get("app", appId)?.name ?? null;
    const nodeId = follower.view.get("placement", instanceId)?.nodeId ?? null;
    const message = `back on its routes: ${reason}`;
    const event = { type: "instance.returned", appId, appName, instanceId, nodeId, message };
    return [deletion, this.#log.write(clock.now(), event)];
  }
}
