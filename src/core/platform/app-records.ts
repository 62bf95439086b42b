import { DinpError } from "../model/errors.js";
import type { RecordTypes, Kind } from "../model/kinds.js";
import type {
  App,
  CrashRecord,
  Domain,
  InstanceStatus,
  Placement,
  Release,
  Rollout,
} from "../model/records.js";
import type { Withdrawal } from "../model/withdrawal.js";
import type { StateStore, Stored } from "../ports/state-store.js";
import { printable, quoted } from "./text.js";
import type { ReadOptions } from "./context.js";

/** All that is known of one app. */
export interface AppRecords {
  readonly app: App;
  readonly releases: ReadonlyMap<string, Release>;
  readonly current: Release | null;
  readonly placements: readonly Placement[];
  readonly statuses: ReadonlyMap<string, InstanceStatus>;
  readonly rollouts: ReadonlyMap<string, Rollout>;
  /** Of the current release. */
  readonly crash: CrashRecord | null;
  readonly domains: readonly Domain[];
  readonly withdrawals: readonly Withdrawal[];
}

/** The error for an app that is not there; it names what was looked for. */
export function appNotFound(name: string): DinpError {
  return new DinpError("DINP_NOT_FOUND", `There is no app named ${quoted(name)}.`, {
    hint: "List the apps to see their names, or push one to create it.",
    details: { app: printable(name, 120) },
  });
}

/** The app of that name that is not deleted. `DINP_NOT_FOUND`, `DINP_CONFLICT` (see `WriteOptions.ifRevision`). */
export async function requireApp(
  store: StateStore,
  name: string,
  options: ReadOptions & { readonly ifRevision?: number | undefined },
): Promise<Stored<"app">> {
  const app = await findApp(store, name, options);
  if (app === null) throw appNotFound(name);
  return app;
}

/** As {@link requireApp}; null when there is none. */
export async function findApp(
  store: StateStore,
  name: string,
  options: ReadOptions & { readonly ifRevision?: number | undefined },
): Promise<Stored<"app"> | null> {
  const app = await store.getUnique("app", "name", name, withSignal(options));
  const revision = app?.revision ?? 0;
  if (options.ifRevision === undefined || options.ifRevision === revision) return app;
  throw new DinpError("DINP_CONFLICT", `The app ${quoted(name)} was changed since it was read.`, {
    hint: "Read it again, see whether the change is still meant, and send it with the new revision.",
    details: { precondition: true, revision },
  });
}

/** As {@link requireApp}, but one that is being deleted is found too (the newest), unless a live one has its name. */
export async function findAppEvenDeleted(
  store: StateStore,
  name: string,
  options: ReadOptions,
): Promise<App> {
  const live = await store.getUnique("app", "name", name, withSignal(options));
  if (live !== null) return live.value;
  let newest: App | null = null;
  for await (const { value } of store.list("app", withSignal(options))) {
    if (value.name !== name) continue;
    if (newest === null || (value.deletedAt ?? 0) > (newest.deletedAt ?? 0)) newest = value;
  }
  if (newest === null) throw appNotFound(name);
  return newest;
}

/** The app's current release. `DINP_INVALID` before the first one; `DINP_CORRUPT` when it is missing. */
export async function requireCurrent(store: StateStore, app: App, options: ReadOptions): Promise<Release> {
  if (app.currentRelease === null) {
    throw new DinpError("DINP_INVALID", `The app ${quoted(app.name)} has no release yet.`, {
      hint: "Push its code first.",
    });
  }
  const release = await store.get("release", app.currentRelease, withSignal(options));
  if (release !== null) return release.value;
  throw new DinpError(
    "DINP_CORRUPT",
    `The current release of ${quoted(app.name)} is missing from the store.`,
  );
}

/** Records of an app, in key order. */
export async function listOf<K extends Kind>(
  store: StateStore,
  kind: K,
  appId: string,
  options: ReadOptions,
): Promise<RecordTypes[K][]> {
  const values: RecordTypes[K][] = [];
  const filter = { index: { name: "app", value: appId }, ...withSignal(options) };
  for await (const { value } of store.list(kind, filter)) values.push(value);
  return values;
}

/** Everything about one app. */
export async function readAppRecords(store: StateStore, app: App, options: ReadOptions): Promise<AppRecords> {
  const [releases, placements, statuses, rollouts, domains, withdrawals] = await Promise.all([
    listOf(store, "release", app.id, options),
    listOf(store, "placement", app.id, options),
    listOf(store, "instanceStatus", app.id, options),
    listOf(store, "rollout", app.id, options),
    listOf(store, "domain", app.id, options),
    listOf(store, "withdrawal", app.id, options),
  ]);
  const crash =
    app.currentRelease === null ? null : await store.get("crash", app.currentRelease, withSignal(options));
  const byId = new Map(releases.map((release) => [release.id, release]));
  return {
    app,
    releases: byId,
    current: app.currentRelease === null ? null : (byId.get(app.currentRelease) ?? null),
    placements,
    statuses: new Map(statuses.map((status) => [status.instanceId, status])),
    rollouts: new Map(rollouts.map((rollout) => [rollout.releaseId, rollout])),
    crash: crash?.value ?? null,
    domains,
    withdrawals,
  };
}

/** Everything about every app, of one revision of the store; by name, deleted ones last. */
export async function readAllAppRecords(store: StateStore, options: ReadOptions): Promise<AppRecords[]> {
  const { records } = await store.snapshot({
    kinds: ["app", "release", "placement", "instanceStatus", "rollout", "crash", "domain", "withdrawal"],
    ...withSignal(options),
  });
  const apps: App[] = [];
  const parts = new Map<string, OpenAppRecords>();
  const of = (appId: string): OpenAppRecords => {
    const known = parts.get(appId) ?? openRecords();
    parts.set(appId, known);
    return known;
  };
  for (const record of records) {
    if (isOf(record, "app")) apps.push(record.value);
    else if (isOf(record, "release")) of(record.value.appId).releases.set(record.key, record.value);
    else if (isOf(record, "placement")) of(record.value.appId).placements.push(record.value);
    else if (isOf(record, "instanceStatus")) of(record.value.appId).statuses.set(record.key, record.value);
    else if (isOf(record, "rollout")) of(record.value.appId).rollouts.set(record.key, record.value);
    else if (isOf(record, "crash")) of(record.value.appId).crashes.set(record.key, record.value);
    else if (isOf(record, "domain")) of(record.value.appId).domains.push(record.value);
    else if (isOf(record, "withdrawal")) of(record.value.appId).withdrawals.push(record.value);
  }
  apps.sort(
    (a, b) => Number(a.deletedAt !== null) - Number(b.deletedAt !== null) || (a.name < b.name ? -1 : 1),
  );
  return apps.map((app) => {
    const { crashes, ...rest } = of(app.id);
    const current = app.currentRelease ?? "";
    return {
      app,
      ...rest,
      current: rest.releases.get(current) ?? null,
      crash: crashes.get(current) ?? null,
    };
  });
}

interface OpenAppRecords {
  readonly releases: Map<string, Release>;
  readonly placements: Placement[];
  readonly statuses: Map<string, InstanceStatus>;
  readonly rollouts: Map<string, Rollout>;
  readonly crashes: Map<string, CrashRecord>;
  readonly domains: Domain[];
  readonly withdrawals: Withdrawal[];
}

function openRecords(): OpenAppRecords {
  return {
    releases: new Map(),
    placements: [],
    statuses: new Map(),
    rollouts: new Map(),
    crashes: new Map(),
    domains: [],
    withdrawals: [],
  };
}

/** Narrows a stored record to one kind. */
export function isOf<K extends Kind>(
  record: { readonly kind: Kind; readonly value: unknown },
  kind: K,
): record is Stored<K> {
  return record.kind === kind;
}

/** `signal` as the ports take it: absent rather than undefined. */
export function withSignal(options: ReadOptions): { readonly signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}
