import { EventTimes, newTimeId, type RandomBytes } from "../model/ids.js";
import type { NodeId } from "../model/records.js";
import type { PutWrite } from "../ports/state-store.js";

/** Makes the writes that tell what nodes did at the gate, in the order of their making. */
export class NodeEvents {
  readonly #random: RandomBytes;
  readonly #times = new EventTimes();

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  write(
    now: number,
    event: { readonly type: string; readonly nodeId: NodeId; readonly message: string },
  ): PutWrite<"event"> {
    const id = newTimeId(this.#random, this.#times.next(now), "evt");
    const of = { appId: null, appName: null, instanceId: null, actor: "agent" };
    return { op: "put", kind: "event", value: { ...of, ...event, id, at: now }, ifRevision: "absent" };
  }
}
