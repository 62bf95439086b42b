import type { AppId, InstanceId } from "./records.js";

/**
 * A health monitor's wish that an instance be off its routes, although its agent calls it ready. It stands as long as the
 * monitor holds its lease ({@link monitorLease}), or until the monitor takes it back. Written by that monitor only, under its
 * lease; deleted by it, and by the leader when the lease has run out or the instance is gone.
 */
export interface Withdrawal {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  readonly monitorId: string;
  /** By the monitor's clock. */
  readonly since: number;
  /** What it saw, with the last probe's latency and first bytes; for people. */
  readonly reason: string;
}

/** The key of a withdrawal's record: several monitors may want the same instance withdrawn. */
export function withdrawalKey({
  instanceId,
  monitorId,
}: Pick<Withdrawal, "instanceId" | "monitorId">): string {
  return `${instanceId}/${monitorId}`;
}

/** The name of the lease by which a monitor lives. */
export function monitorLease(monitorId: string): string {
  return `monitor/${monitorId}`;
}

/** How many of an app's `endpoints` ready ones may be withdrawn at the same time, by all monitors together: at most half. */
export function withdrawnMax(endpoints: number): number {
  return Math.floor(endpoints / 2);
}
