import type { InstanceId } from "../model/records.js";
import type { ClusterView } from "../plan/cluster-view.js";
import type { RecordChange } from "../ports/state-store.js";

/**
 * When a leader first saw each instance that is to drain. A drain that was decided before an outage of the store, whether its
 * commit went through then or only after it, is seen when that is over: until then no route was withdrawn.
 */
export class SeenDrains {
  readonly #seenAt = new Map<InstanceId, number>();

  readonly at = (instanceId: InstanceId): number | undefined => this.#seenAt.get(instanceId);

  /** The view has changed so; null: any of it may have. */
  note(changes: readonly RecordChange[] | null, view: ClusterView, now: number): void {
    if (changes === null) {
      for (const id of this.#seenAt.keys()) if (!isDraining(view, id)) this.#seenAt.delete(id);
      for (const { instanceId } of view.all("placement")) this.#look(instanceId, view, now);
    } else {
      for (const { kind, key } of changes) if (kind === "placement") this.#look(key, view, now);
    }
  }

  #look(instanceId: InstanceId, view: ClusterView, now: number): void {
    if (!isDraining(view, instanceId)) this.#seenAt.delete(instanceId);
    else if (!this.#seenAt.has(instanceId)) this.#seenAt.set(instanceId, now);
  }
}

function isDraining(view: ClusterView, instanceId: InstanceId): boolean {
  return view.get("placement", instanceId)?.desired === "draining";
}
