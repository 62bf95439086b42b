import { DinpError } from "../model/errors.js";
import type { Release } from "../model/records.js";
import type { RecordChange } from "../ports/state-store.js";
import { findAppEvenDeleted, listOf, readAppRecords } from "./app-records.js";
import { rolloutView } from "./app-views.js";
import { ChangeBell, currentRevision } from "./changes.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { quoted } from "./text.js";
import type { RolloutView } from "./views.js";

/** How far the release of that number has come. `DINP_NOT_FOUND`. */
export async function getRollout(
  context: PlatformContext,
  name: string,
  number: number,
  options: ReadOptions,
): Promise<RolloutView> {
  const { appId, releaseId } = await findRelease(context, name, number, options);
  return readRollout(context, appId, releaseId, name, options);
}

async function findRelease(
  context: PlatformContext,
  name: string,
  number: number,
  options: ReadOptions,
): Promise<{ readonly appId: string; readonly releaseId: string }> {
  const app = await findAppEvenDeleted(context.store, name, options);
  const releases = await listOf(context.store, "release", app.id, options);
  const release = releases.find((one: Release) => one.number === number);
  if (release !== undefined) return { appId: app.id, releaseId: release.id };
  throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(name)} has no release ${String(number)}.`, {
    hint: "List its releases to see their numbers.",
  });
}

async function readRollout(
  context: PlatformContext,
  appId: string,
  releaseId: string,
  name: string,
  options: ReadOptions,
): Promise<RolloutView> {
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const app = await context.store.get("app", appId, signal);
  const records = app === null ? null : await readAppRecords(context.store, app.value, options);
  const release = records?.releases.get(releaseId);
  if (records !== null && release !== undefined) return rolloutView(records, release);
  throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(name)} was deleted meanwhile.`);
}

/**
 * The rollout now and after each change, until it has ended (that is the last value), the app is deleted, or the signal
 * aborts (then it ends without an error). Changes that come faster than they are read are merged.
 */
export async function* followRollout(
  context: PlatformContext,
  name: string,
  number: number,
  signal: AbortSignal,
): AsyncGenerator<RolloutView> {
  const revision = await currentRevision(context.store, signal);
  const { appId, releaseId } = await findRelease(context, name, number, { signal });
  const bell = new ChangeBell(
    context.store,
    ["app", "placement", "instanceStatus", "rollout"],
    revision,
    (change) => concerns(change, appId),
    signal,
  );
  try {
    let last = "";
    do {
      const view = await readRollout(context, appId, releaseId, name, { signal });
      const text = JSON.stringify(view);
      if (text !== last) yield view;
      last = text;
      if (view.state !== "pending" && view.state !== "running") return;
    } while (await bell.next());
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await bell.close();
  }
}

/** A deleted record no longer says whose it was, so it may be this app's. */
function concerns(change: RecordChange, appId: string): boolean {
  if (change.kind === "app") return change.key === appId;
  if (change.value === null) return true;
  return "appId" in change.value && change.value.appId === appId;
}
