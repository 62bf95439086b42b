import type { App, InstanceId } from "../model/records.js";
import { monitorLease, withdrawalKey, type Withdrawal } from "../model/withdrawal.js";
import type { ClusterView } from "../plan/cluster-view.js";
import type { Finding } from "../probing/monitor-judgement.js";
import type { Write } from "../ports/state-store.js";
import type { EventDraft, EventLog } from "./events.js";

/** Who a monitor is in its events. */
export function monitorActor(monitorId: string): string {
  return monitorLease(monitorId);
}

/** Makes the writes of one monitor, from the view. */
export class MonitorWrites {
  readonly #monitorId: string;
  readonly #view: ClusterView;
  readonly #log: EventLog;

  constructor(monitorId: string, view: ClusterView, log: EventLog) {
    this.#monitorId = monitorId;
    this.#view = view;
    this.#log = log;
  }

  /** Takes the instance off its routes, if its agent still says of it what the view says. */
  withdraw({ instanceId, appId, reason }: Finding, now: number): readonly Write[] {
    const value: Withdrawal = { instanceId, appId, monitorId: this.#monitorId, since: now, reason };
    const ifRevision = this.#view.revisionOf("instanceStatus", instanceId);
    const message = `off its routes: ${reason}`;
    return [
      { op: "check", kind: "instanceStatus", key: instanceId, ifRevision },
      { op: "put", kind: "withdrawal", value, ifRevision: "absent" },
      this.#event(now, { type: "instance.withdrawn", appId, instanceId, message }),
    ];
  }

  giveBack({ instanceId, appId, reason }: Finding, now: number): readonly Write[] {
    const message = `back on its routes: ${reason}`;
    return [
      this.drop(instanceId),
      this.#event(now, { type: "instance.returned", appId, instanceId, message }),
    ];
  }

  drop(instanceId: InstanceId): Write {
    const key = withdrawalKey({ instanceId, monitorId: this.#monitorId });
    return { op: "delete", kind: "withdrawal", key, ifRevision: this.#view.revisionOf("withdrawal", key) };
  }

  keep({ instanceId, appId, reason }: Finding, now: number): readonly Write[] {
    const message = `stays on its routes, since at least half of an app's ready instances do: ${reason}`;
    return [this.#event(now, { type: "instance.unreachable", appId, instanceId, message })];
  }

  /** `message` of the monitor itself. */
  tell(type: "monitor.suspended" | "monitor.resumed", message: string, now: number): readonly Write[] {
    return [this.#event(now, { type, message })];
  }

  #event(now: number, draft: EventDraft): Write {
    const appName = draft.appId == null ? null : nameOf(this.#view.get("app", draft.appId));
    const nodeId =
      draft.instanceId == null ? null : (this.#view.get("placement", draft.instanceId)?.nodeId ?? null);
    return this.#log.write(now, { actor: monitorActor(this.#monitorId), appName, nodeId, ...draft });
  }
}

function nameOf(app: App | undefined): string | null {
  return app?.name ?? null;
}
