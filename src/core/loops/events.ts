import { EventTimes, newTimeId, type RandomBytes } from "../model/ids.js";
import type { EventRecord } from "../model/records.js";
import type { PutWrite } from "../ports/state-store.js";

/** Characters of an event's message. */
const MESSAGE_MAX = 1_000;

export type EventDraft = Partial<Omit<EventRecord, "id" | "at">> & Pick<EventRecord, "type" | "message">;

/** Makes the writes that append the leader's events, in the order of their making. */
export class EventLog {
  readonly #random: RandomBytes;
  readonly #times = new EventTimes();

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  write(now: number, draft: EventDraft): PutWrite<"event"> {
    const event: EventRecord = {
      appId: null,
      appName: null,
      instanceId: null,
      nodeId: null,
      actor: "leader",
      ...draft,
      message: draft.message.slice(0, MESSAGE_MAX),
      id: newTimeId(this.#random, this.#times.next(now), "evt"),
      at: now,
    };
    return { op: "put", kind: "event", value: event, ifRevision: "absent" };
  }
}
