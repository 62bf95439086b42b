import type { EventRecord } from "../model/records.js";
import { withSignal } from "./app-records.js";
import { currentRevision, watchChanges, type SeenChange } from "./changes.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import type { EventsRequest } from "./requests.js";
import { assertInteger } from "./validate.js";
import type { EventView } from "./views.js";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

/** The newest events, oldest first; of apps that are gone, too. */
export async function listEvents(
  context: PlatformContext,
  request: EventsRequest,
  options: ReadOptions,
): Promise<EventView[]> {
  const limit = request.limit ?? LIMIT_DEFAULT;
  assertInteger("limit", limit, 1, LIMIT_MAX);
  const newest: EventRecord[] = [];
  // By name and not by the index: an app that was deleted and made anew has several ids.
  const events = context.store.list("event", {
    reverse: true,
    ...(request.app === undefined ? { limit } : {}),
    ...withSignal(options),
  });
  for await (const { value } of events) {
    if (request.app !== undefined && value.appName !== request.app) continue;
    newest.push(value);
    if (newest.length >= limit) break;
  }
  return newest.reverse();
}

/** The newest events (with a `limit` of 0 none), oldest first, then each new one once, until the signal aborts (then it ends without an error). */
export async function* followEvents(
  context: PlatformContext,
  request: EventsRequest,
  signal: AbortSignal,
): AsyncGenerator<EventView> {
  const told = new RecentIds();
  try {
    const revision = await currentRevision(context.store, signal);
    const past = request.limit === 0 ? [] : await listEvents(context, request, { signal });
    for (const event of past) {
      told.add(event.id);
      yield event;
    }
    for await (const seen of watchChanges(context.store, ["event"], revision, signal)) {
      for (const event of await newEvents(context, seen, request, signal)) {
        if (!told.add(event.id)) continue;
        yield event;
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The events that a change brought; after a gap, the newest ones once more. */
async function newEvents(
  context: PlatformContext,
  seen: SeenChange,
  request: EventsRequest,
  signal: AbortSignal,
): Promise<readonly EventView[]> {
  if (seen.type === "missed") return listEvents(context, { ...request, limit: LIMIT_MAX }, { signal });
  const event = seen.change.kind === "event" ? seen.change.value : null;
  if (event === null || (request.app !== undefined && event.appName !== request.app)) return [];
  return [event];
}

/** Remembers the last ids that it was told, a bounded number of them. */
class RecentIds {
  readonly #ids = new Set<string>();

  /** False when the id was told before. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > 2 * LIMIT_MAX) {
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    }
    return true;
  }
}
