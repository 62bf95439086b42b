import { domainKey } from "../model/kinds.js";
import type { App } from "../model/records.js";
import type { Write } from "../ports/state-store.js";
import {
  findAppEvenDeleted,
  listOf,
  readAllAppRecords,
  readAppRecords,
  requireApp,
  withSignal,
  type AppRecords,
} from "./app-records.js";
import { appDetail, appView, placed } from "./app-views.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { discardWrites } from "./discards.js";
import { chargeDeletion } from "./deletion-budget.js";
import type { ScaleRequest } from "./requests.js";
import { secretVersionsOf } from "./secrets.js";
import { quoted } from "./text.js";
import { assertInstances } from "./validate.js";
import type { AppDetail, AppView } from "./views.js";

const REFUSAL_SEARCH_MAX = 200;

/** By name; one that is being deleted comes last, unless a new app has taken its name. */
export async function listApps(context: PlatformContext, options: ReadOptions): Promise<AppView[]> {
  const all = await readAllAppRecords(context.store, options);
  const live = new Set(all.filter(({ app }) => app.deletedAt === null).map(({ app }) => app.name));
  const info = context.info();
  return all
    .filter(({ app }) => app.deletedAt === null || !live.has(app.name))
    .map((records) => appView(records, info));
}

export async function getApp(
  context: PlatformContext,
  name: string,
  options: ReadOptions,
): Promise<AppDetail> {
  return (await readDetail(context, name, options)).detail;
}

/** An app's detail, and the records that it was made from. `DINP_NOT_FOUND`. */
export async function readDetail(
  context: PlatformContext,
  name: string,
  options: ReadOptions,
): Promise<{ readonly detail: AppDetail; readonly records: AppRecords }> {
  const app = await findAppEvenDeleted(context.store, name, options);
  const records = await readAppRecords(context.store, app, options);
  const isShort = app.desired === "running" && placed(records) < app.instances;
  const refusal = await refusalOf(context, records, isShort, options);
  const nextStartAt = isShort ? context.cluster().nextStartAt(app.id) : null;
  const revision = await revisionOf(context, app, options);
  return { records, detail: appDetail(records, context.info(), refusal, nextStartAt, revision) };
}

/** The revision that last wrote the app's record; 0 when it is gone. */
async function revisionOf(context: PlatformContext, app: App, options: ReadOptions): Promise<number> {
  return (await context.store.get("app", app.id, withSignal(options)))?.revision ?? 0;
}

/**
 * Why the leader last refused to do something for the app, among its newest events. While old instances fill the places of
 * those of a new release, only what was refused since one was placed: a rollout waits for other reasons, too.
 */
async function refusalOf(
  context: PlatformContext,
  records: AppRecords,
  isShort: boolean,
  options: ReadOptions,
): Promise<string | null> {
  const { app } = records;
  if (!isShort && !isShortOfRelease(records)) return null;
  const events = context.store.list("event", {
    index: { name: "app", value: app.id },
    reverse: true,
    limit: REFUSAL_SEARCH_MAX,
    ...withSignal(options),
  });
  for await (const { value } of events) {
    if (value.type === "plan.refused") return value.message;
    if (!isShort && (value.type === "instance.placed" || value.type === "rollout.started")) return null;
  }
  return null;
}

/** Whether a release is being rolled out that does not have all its instances yet. */
function isShortOfRelease({ app, current, rollouts, placements }: AppRecords): boolean {
  if (app.desired !== "running" || app.deletedAt !== null || current === null) return false;
  if (rollouts.get(current.id)?.state !== "running") return false;
  return (
    placed({ placements: placements.filter(({ releaseId }) => releaseId === current.id) }) < app.instances
  );
}

async function viewOf(context: PlatformContext, app: App, options: ReadOptions): Promise<AppView> {
  return appView(await readAppRecords(context.store, app, options), context.info());
}

/** Sets how many instances run. */
export async function scaleApp(
  context: PlatformContext,
  name: string,
  request: ScaleRequest,
  options: WriteOptions,
): Promise<AppView> {
  assertInstances(request.instances);
  return change(context, "app.scale", { name, request }, options, async () => {
    const stored = await requireApp(context.store, name, options);
    const app: App = { ...stored.value, instances: request.instances };
    const result = await viewOf(context, app, options);
    if (app.instances === stored.value.instances) return { writes: [], events: [], result };
    const message = `scaled ${name} from ${String(stored.value.instances)} to ${String(app.instances)} instances`;
    return {
      writes: [{ op: "put", kind: "app", value: app, ifRevision: stored.revision }],
      events: [{ type: "app.scaled", message, app }],
      result,
    };
  });
}

/** Starts or stops all of the app's instances; its settings stay. */
export async function setDesired(
  context: PlatformContext,
  name: string,
  desired: App["desired"],
  options: WriteOptions,
): Promise<AppView> {
  const type = desired === "running" ? "app.started" : "app.stopped";
  return change(context, type, { name }, options, async () => {
    const stored = await requireApp(context.store, name, options);
    const app: App = { ...stored.value, desired };
    const result = await viewOf(context, app, options);
    if (app.desired === stored.value.desired) return { writes: [], events: [], result };
    return {
      writes: [{ op: "put", kind: "app", value: app, ifRevision: stored.revision }],
      events: [{ type, message: `${desired === "running" ? "started" : "stopped"} ${name}`, app }],
      result,
    };
  });
}

/**
 * Commits the app's deletion: a tombstone, which alone lets the leader end what the app owns; its domains are free at
 * once, and its secrets are gone. `DINP_CONFIRMATION_REQUIRED` when many apps were deleted within a short time and `confirm` is not true.
 */
export async function deleteApp(
  context: PlatformContext,
  name: string,
  request: { readonly confirm?: boolean | undefined },
  options: WriteOptions,
): Promise<{ readonly deleted: true }> {
  return change(context, "app.delete", { name }, options, async (now) => {
    const { store } = context;
    const stored = await requireApp(store, name, options);
    const app: App = { ...stored.value, deletedAt: now };
    const budget = await chargeDeletion(context, name, request.confirm === true, now, options);
    const domains = await listOf(store, "domain", app.id, options);
    const releases = await listOf(store, "release", app.id, options);
    const secrets = await secretVersionsOf(store, app.id, options);
    return {
      writes: [
        { op: "put", kind: "app", value: app, ifRevision: stored.revision },
        budget,
        ...domains.map(({ host, path }): Write => ({
          op: "delete",
          kind: "domain",
          key: domainKey(host, path),
        })),
        ...secrets.map(({ key }): Write => ({ op: "delete", kind: "secretVersion", key })),
        ...discardWrites(releases.map(({ image }) => image)),
      ],
      events: [{ type: "app.deleted", message: `deleted ${quoted(name)}`, app }],
      result: { deleted: true },
    };
  });
}
