import { isDinpError } from "../model/errors.js";
import type { Kind } from "../model/kinds.js";
import type { App, AppId, Build, Release, Rollout } from "../model/records.js";
import type { StateStore, Stored, Write } from "../ports/state-store.js";
import { withSignal } from "./app-records.js";
import { isExpired } from "./change.js";
import type { ReadOptions } from "./context.js";
import { discardWrites } from "./discards.js";

const EVENTS_MAX = 10_000;
const ANSWERS_MAX = 100_000;
const BUILDS_PER_APP_MAX = 50;
const RELEASES_PER_APP_MAX = 100;
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

/** Deletes, with their logs, all but the newest builds of each app (default 50); their images go later, unless they are needed. */
export async function trimBuilds(
  store: StateStore,
  options: ReadOptions & { readonly keep?: number } = {},
): Promise<number> {
  const keep = options.keep ?? BUILDS_PER_APP_MAX;
  const seen = new Map<string, number>();
  const surplus: Build[] = [];
  for await (const { value } of store.list("build", { reverse: true, ...withSignal(options) })) {
    const count = (seen.get(value.appName) ?? 0) + 1;
    seen.set(value.appName, count);
    if (count > keep && value.state !== "running") surplus.push(value);
  }
  for (let start = 0; start < surplus.length; start += BATCH) {
    const batch = surplus.slice(start, start + BATCH);
    const writes = batch.flatMap(({ id }): Write[] => [
      { op: "delete", kind: "build", key: id },
      { op: "delete", kind: "buildLog", key: id },
    ]);
    const discards = discardWrites(batch.map(({ image }) => image));
    await store.commit([...writes, ...discards], withSignal(options));
  }
  return surplus.length;
}

/**
 * Deletes, with their rollout and crash records, all but the newest releases of each app (default 100) and those that
 * are still needed: the current one, the last good one, and those of which anything is placed or reported. Their images
 * go later, unless they are needed. Resolves to how many went; an app that is changed meanwhile is left for the next time.
 */
export async function trimReleases(
  store: StateStore,
  options: ReadOptions & { readonly keep?: number } = {},
): Promise<number> {
  const keep = options.keep ?? RELEASES_PER_APP_MAX;
  const counts = new Map<AppId, number>();
  for await (const { value } of store.list("release", withSignal(options))) {
    counts.set(value.appId, (counts.get(value.appId) ?? 0) + 1);
  }
  let gone = 0;
  for (const [appId, count] of counts) {
    if (count > keep) gone += await trimReleasesOf(store, appId, keep, options);
  }
  return gone;
}

async function trimReleasesOf(
  store: StateStore,
  appId: AppId,
  keep: number,
  options: ReadOptions,
): Promise<number> {
  const app = await store.get("app", appId, withSignal(options));
  if (app === null || app.value.deletedAt !== null) return 0;
  const index = { name: "app", value: appId };
  const needed = await neededReleases(store, app.value, options);
  const releases: Release[] = [];
  for await (const { value } of store.list("release", { index, ...withSignal(options) }))
    releases.push(value);
  const surplus = releases
    .sort((a, b) => b.number - a.number)
    .slice(keep)
    .filter(({ id }) => !needed.has(id));
  for (let start = 0; start < surplus.length; start += BATCH) {
    const batch = surplus.slice(start, start + BATCH);
    if (!(await commitUnlessChanged(store, app, batch, options))) return start;
  }
  return surplus.length;
}

/** Releases of the app that may still be started, or that something of is still there. */
export async function neededReleases(
  store: StateStore,
  app: App,
  options: ReadOptions,
): Promise<ReadonlySet<string>> {
  const list = { index: { name: "app", value: app.id }, ...withSignal(options) };
  const needed = new Set<string>(app.currentRelease === null ? [] : [app.currentRelease]);
  for await (const { value } of store.list("placement", list)) needed.add(value.releaseId);
  for await (const { value } of store.list("instanceStatus", list)) needed.add(value.releaseId);
  let lastGood: Rollout | null = null;
  for await (const { value } of store.list("rollout", list)) {
    if (value.state !== "complete" || value.releaseId === app.currentRelease) continue;
    if (lastGood === null || value.number > lastGood.number) lastGood = value;
  }
  if (lastGood !== null) needed.add(lastGood.releaseId);
  return needed;
}

/** False when the app was changed meanwhile: what is needed may be something else now. */
async function commitUnlessChanged(
  store: StateStore,
  app: Stored<"app">,
  releases: readonly Release[],
  options: ReadOptions,
): Promise<boolean> {
  const writes = releases.flatMap(({ id }): Write[] => [
    { op: "delete", kind: "release", key: id },
    { op: "delete", kind: "rollout", key: id },
    { op: "delete", kind: "crash", key: id },
  ]);
  try {
    await store.commit(
      [
        ...writes,
        ...discardWrites(releases.map(({ image }) => image)),
        { op: "check", kind: "app", key: app.key, ifRevision: app.revision },
      ],
      withSignal(options),
    );
    return true;
  } catch (error) {
    if (isDinpError(error, "DINP_CONFLICT")) return false;
    throw error;
  }
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
