import { DinpError } from "../model/errors.js";
import type { EventRecord, InstanceStatus, Placement } from "../model/records.js";
import type { Withdrawal } from "../model/withdrawal.js";
import { findAppEvenDeleted, isOf, withSignal } from "./app-records.js";
import { listApps } from "./apps.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { listReleases } from "./releases.js";
import type { AppsQuery, EventsQuery, InstancesQuery, PageRequest } from "./requests.js";
import { assertInteger } from "./validate.js";
import { quoted } from "./text.js";
import { withdrawalView } from "./withdrawal-view.js";
import type { AppView, EventView, NodeInstanceView, Page, ReleaseView } from "./views.js";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;
/** The bytes of a record's key, in hexadecimal: printable ASCII. */
const CURSOR = /^(?:[2-6][0-9a-f]|7[0-9a-e]){1,255}$/;

/** Apps by name, those that match. */
export async function pageApps(
  context: PlatformContext,
  query: AppsQuery,
  options: ReadOptions,
): Promise<Page<AppView>> {
  const { state, prefix = "" } = query;
  const apps = (await listApps(context, options)).filter(
    (app) => app.name.startsWith(prefix) && (state === undefined || app.state === state),
  );
  // By name alone: where one is being deleted would make it wander between pages.
  apps.sort((a, b) => compare(a.name, b.name));
  return page(apps, (app) => app.name, compare, query);
}

/** An app's releases, newest first. */
export async function pageReleases(
  context: PlatformContext,
  name: string,
  request: PageRequest,
  options: ReadOptions,
): Promise<Page<ReleaseView>> {
  const releases = await listReleases(context, name, options);
  return page(
    releases,
    (release) => padded(release.number),
    (a, b) => compare(b, a),
    request,
  );
}

/** Instances of all apps (or one), those that match, by id. */
export async function pageInstances(
  context: PlatformContext,
  query: InstancesQuery,
  options: ReadOptions,
): Promise<Page<NodeInstanceView>> {
  const { store } = context;
  const only = query.app === undefined ? null : (await findAppEvenDeleted(store, query.app, options)).id;
  const { records } = await store.snapshot({
    kinds: ["app", "release", "placement", "instanceStatus", "withdrawal"],
    ...withSignal(options),
  });
  const names = new Map<string, string>();
  const numbers = new Map<string, number>();
  const statuses = new Map<string, InstanceStatus>();
  const placements: Placement[] = [];
  const withdrawals: Withdrawal[] = [];
  for (const record of records) {
    if (isOf(record, "app")) names.set(record.key, record.value.name);
    else if (isOf(record, "release")) numbers.set(record.key, record.value.number);
    else if (isOf(record, "instanceStatus")) statuses.set(record.key, record.value);
    else if (isOf(record, "withdrawal")) withdrawals.push(record.value);
    else if (isOf(record, "placement") && (only === null || record.value.appId === only))
      placements.push(record.value);
  }
  const views = placements
    .map((placement): NodeInstanceView => {
      const status = statuses.get(placement.instanceId);
      const endpoint = status?.endpoint ?? null;
      return {
        app: names.get(placement.appId) ?? "",
        id: placement.instanceId,
        node: placement.nodeId,
        release: numbers.get(placement.releaseId) ?? 0,
        desired: placement.desired,
        phase: status?.phase ?? "pending",
        ready: status?.ready ?? false,
        endpoint: endpoint === null ? null : `${endpoint.host}:${String(endpoint.port)}`,
        startedAt: status?.startedAt ?? null,
        reason: status === undefined || status.reason === "" ? placement.reason : status.reason,
        withdrawn: withdrawalView(withdrawals, placement.instanceId),
      };
    })
    .filter(({ phase }) => query.phase === undefined || phase === query.phase)
    .filter(({ node }) => query.node === undefined || node === query.node)
    .sort((a, b) => compare(a.id, b.id));
  return page(views, ({ id }) => id, compare, query);
}

/** Events that match: the newest page first, each page oldest first; `next` leads to older ones. */
export async function pageEvents(
  context: PlatformContext,
  query: EventsQuery,
  options: ReadOptions,
): Promise<Page<EventView>> {
  const limit = limitOf(query);
  const before = query.cursor === undefined ? null : keyOf(query.cursor);
  const found: EventRecord[] = [];
  // By name and not by the index: an app that was deleted and made anew has several ids.
  for await (const { value } of context.store.list("event", { reverse: true, ...withSignal(options) })) {
    if (before !== null && value.id >= before) continue;
    if (!matches(value, query)) continue;
    found.push(value);
    if (found.length > limit) break;
  }
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const next = found.length > limit && last !== undefined ? cursorOf(last.id) : null;
  return { items: items.reverse(), next };
}

/** One page of views that come in the order of their ids; `from` reads on after an id. */
export async function pageOfKeys<T extends { readonly id: string }>(
  request: PageRequest,
  from: (after: string | null) => AsyncIterable<T>,
): Promise<Page<T>> {
  const limit = limitOf(request);
  const found: T[] = [];
  for await (const view of from(request.cursor === undefined ? null : keyOf(request.cursor))) {
    found.push(view);
    if (found.length > limit) break;
  }
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next: found.length > limit && last !== undefined ? cursorOf(last.id) : null };
}

function matches(event: EventRecord, { app, type, since, until }: EventsQuery): boolean {
  if (app !== undefined && event.appName !== app) return false;
  // `release` means all of `release.created` and its like.
  if (type !== undefined && event.type !== type && !event.type.startsWith(`${type}.`)) return false;
  return (since === undefined || event.at >= since) && (until === undefined || event.at < until);
}

/** `items` must be in the order of their keys. */
function page<T>(
  items: readonly T[],
  key: (item: T) => string,
  order: (a: string, b: string) => number,
  request: PageRequest,
): Page<T> {
  const limit = limitOf(request);
  const after = request.cursor === undefined ? null : keyOf(request.cursor);
  const rest = after === null ? items : items.filter((item) => order(key(item), after) > 0);
  const shown = rest.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown, next: rest.length > limit && last !== undefined ? cursorOf(key(last)) : null };
}

function limitOf({ limit = LIMIT_DEFAULT }: PageRequest): number {
  assertInteger("limit", limit, 1, LIMIT_MAX);
  return limit;
}

function cursorOf(key: string): string {
  return [...new TextEncoder().encode(key)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function keyOf(cursor: string): string {
  if (!CURSOR.test(cursor)) {
    throw new DinpError("DINP_INVALID", `${quoted(cursor)} is not a cursor.`, {
      hint: "Send the `next` of the page before, as it is, and the same filters.",
      details: { field: "cursor" },
    });
  }
  const bytes = Uint8Array.from(cursor.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  return new TextDecoder().decode(bytes);
}

function padded(number: number): string {
  return String(number).padStart(16, "0");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
