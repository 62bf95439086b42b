import type { Kind } from "../model/kinds.js";
import type { StateStore } from "../ports/state-store.js";
import { withSignal } from "./app-records.js";
import { isExpired } from "./change.js";
import type { ReadOptions } from "./context.js";

const EVENTS_MAX = 10_000;
const ANSWERS_MAX = 100_000;
const BUILDS_PER_APP_MAX = 50;
const BATCH = 500;

/** Deletes all but the newest `keep` events (default 10,000); resolves to how many went. */
export async function trimEvents(
  store: StateStore,
  options: ReadOptions & { readonly keep?: number } = {},
): Promise<number> {
  const keep = options.keep ?? EVENTS_MAX;
  const keys: string[] = [];
  let seen = 0;
  for await (const { key } of store.list("event", { reverse: true, ...withSignal(options) })) {
    seen += 1;
    if (seen > keep) keys.push(key);
  }
  await deleteAll(store, "event", keys, options);
  return keys.length;
}

/** Deletes the remembered answers that have expired, and the oldest beyond 100,000; resolves to how many went. */
export async function trimAnswers(
  store: StateStore,
  now: number,
  options: ReadOptions & { readonly keep?: number } = {},
): Promise<number> {
  const expired: string[] = [];
  const kept: { readonly key: string; readonly createdAt: number }[] = [];
  for await (const { key, value } of store.list("idempotency", withSignal(options))) {
    if (isExpired(value, now)) expired.push(key);
    else kept.push({ key, createdAt: value.createdAt });
  }
  kept.sort((a, b) => b.createdAt - a.createdAt);
  const surplus = kept.slice(options.keep ?? ANSWERS_MAX).map(({ key }) => key);
  await deleteAll(store, "idempotency", [...expired, ...surplus], options);
  return expired.length + surplus.length;
}

/** Deletes all but the newest builds of each app (default 50); their images stay. */
export async function trimBuilds(
  store: StateStore,
  options: ReadOptions & { readonly keep?: number } = {},
): Promise<number> {
  const keep = options.keep ?? BUILDS_PER_APP_MAX;
  const seen = new Map<string, number>();
  const keys: string[] = [];
  for await (const { key, value } of store.list("build", { reverse: true, ...withSignal(options) })) {
    const count = (seen.get(value.appName) ?? 0) + 1;
    seen.set(value.appName, count);
    if (count > keep && value.state !== "running") keys.push(key);
  }
  await deleteAll(store, "build", keys, options);
  return keys.length;
}

async function deleteAll(
  store: StateStore,
  kind: Kind,
  keys: readonly string[],
  options: ReadOptions,
): Promise<void> {
  for (let start = 0; start < keys.length; start += BATCH) {
    const batch = keys.slice(start, start + BATCH);
    await store.commit(
      batch.map((key) => ({ op: "delete", kind, key })),
      withSignal(options),
    );
  }
}
