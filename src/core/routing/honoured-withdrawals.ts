import type { Endpoint, InstanceId } from "../model/records.js";
import { withdrawnMax, type Withdrawal } from "../model/withdrawal.js";

/**
 * Which of an app's ready endpoints are left out of its routes: those that a monitor withdrew, the oldest withdrawals first,
 * as far as {@link withdrawnMax} allows. So at least half of them stay, and the last one always, whatever monitors want.
 * Withdrawals of other instances are ignored.
 */
export function honouredWithdrawals(
  ready: readonly Endpoint[],
  withdrawals: readonly Withdrawal[],
): ReadonlySet<InstanceId> {
  if (withdrawals.length === 0) return new Set();
  const ids = new Set(ready.map(({ instanceId }) => instanceId));
  const wanted = [...withdrawals]
    .filter(({ instanceId }) => ids.has(instanceId))
    .sort((a, b) => a.since - b.since || (a.instanceId < b.instanceId ? -1 : 1))
    .map(({ instanceId }) => instanceId);
  return new Set([...new Set(wanted)].slice(0, withdrawnMax(ids.size)));
}
