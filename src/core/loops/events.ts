import { newTimeId } from "../model/ids.js";
import type { EventRecord } from "../model/records.js";
import type { PutWrite } from "../ports/state-store.js";
import type { Random } from "../ports/system.js";

/** Characters of an event's message. */
const MESSAGE_MAX = 1_000;

export type EventDraft = Partial<Omit<EventRecord, "id" | "at">> & Pick<EventRecord, "type" | "message">;

/** The write that appends an event by the leader. */
export function eventWrite(random: Random, now: number, draft: EventDraft): PutWrite<"event"> {
  const event: EventRecord = {
    appId: null,
    appName: null,
    instanceId: null,
    nodeId: null,
    actor: "leader",
    ...draft,
    message: draft.message.slice(0, MESSAGE_MAX),
    id: newTimeId(random, now, "evt"),
    at: now,
  };
  return { op: "put", kind: "event", value: event, ifRevision: "absent" };
}
