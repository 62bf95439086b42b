import type { InstanceId } from "../model/records.js";
import type { Withdrawal } from "../model/withdrawal.js";
import type { WithdrawalView } from "./views.js";

/** Why the instance is withdrawn, by whoever said so first; null when nobody did. */
export function withdrawalView(
  withdrawals: readonly Withdrawal[],
  instanceId: InstanceId,
): WithdrawalView | null {
  const [first] = withdrawals
    .filter((withdrawal) => withdrawal.instanceId === instanceId)
    .sort((a, b) => a.since - b.since);
  return first === undefined ? null : { by: first.monitorId, since: first.since, reason: first.reason };
}
