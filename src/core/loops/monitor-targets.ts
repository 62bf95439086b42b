import type { AppId, InstanceId } from "../model/records.js";
import type { ClusterView } from "../plan/cluster-view.js";
import type { ProbeTarget } from "../ports/prober.js";

/** An instance that a health monitor probes. */
export interface MonitorTarget {
  readonly appId: AppId;
  readonly probe: ProbeTarget;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** How the instance is probed from outside; null unless it is to run, and its agent calls it ready. */
export function monitorTarget(view: ClusterView, instanceId: InstanceId): MonitorTarget | null {
  const placement = view.get("placement", instanceId);
  const status = view.get("instanceStatus", instanceId);
  if (placement?.desired !== "running" || status?.phase !== "running" || !status.ready) return null;
  const app = view.get("app", placement.appId);
  const check = view.get("release", placement.releaseId)?.check;
  if (app?.desired !== "running" || app.deletedAt !== null) return null;
  if (status.endpoint === null || check === undefined) return null;
  const { host, port } = status.endpoint;
  const { intervalMs, timeoutMs } = check;
  return { appId: app.id, probe: { host, port, check }, intervalMs, timeoutMs };
}
