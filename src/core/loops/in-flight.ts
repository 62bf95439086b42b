import type { InstanceId } from "../model/records.js";

/** Counts a router's requests in flight, by instance. */
export class InFlight {
  readonly #counts = new Map<InstanceId, number>();

  begin(instanceId: InstanceId): void {
    this.#counts.set(instanceId, (this.#counts.get(instanceId) ?? 0) + 1);
  }

  /** Returns true when this was the instance's last request. `TypeError` when none was begun. */
  end(instanceId: InstanceId): boolean {
    const count = this.#counts.get(instanceId);
    if (count === undefined) throw new TypeError(`No request of instance ${instanceId} is in flight.`);
    if (count > 1) this.#counts.set(instanceId, count - 1);
    else this.#counts.delete(instanceId);
    return count === 1;
  }

  /** The instances with requests in flight for which `filter` holds, in order. */
  instances(filter: (instanceId: InstanceId) => boolean): InstanceId[] {
    return [...this.#counts.keys()].filter(filter).sort();
  }
}
