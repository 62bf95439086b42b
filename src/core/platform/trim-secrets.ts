import { limits } from "../model/defaults.js";
import { isDinpError } from "../model/errors.js";
import type { AppId } from "../model/records.js";
import { secretVersionKey } from "../model/secrets.js";
import type { StateStore, Stored, Write } from "../ports/state-store.js";
import { listOf, withSignal } from "./app-records.js";
import type { ReadOptions } from "./context.js";
import { secretVersionsOf } from "./secrets.js";
import { neededReleases } from "./tidy.js";

/**
 * Deletes versions of secrets beyond the newest ten of each, but those that a release which is still needed refers to, and all
 * of secrets that no release refers to. Resolves to how many went; an app that is changed meanwhile is left for the next time.
 */
export async function trimSecrets(store: StateStore, options: ReadOptions): Promise<number> {
  const apps = new Set<AppId>();
  for await (const { value } of store.list("secretVersion", withSignal(options))) apps.add(value.appId);
  let gone = 0;
  for (const appId of apps) gone += await trimSecretsOf(store, appId, options);
  return gone;
}

async function trimSecretsOf(store: StateStore, appId: AppId, options: ReadOptions): Promise<number> {
  const app = await store.get("app", appId, withSignal(options));
  const versions = await secretVersionsOf(store, appId, options);
  const surplus =
    app === null || app.value.deletedAt !== null ? versions : await surplusOf(store, app, versions, options);
  if (surplus.length === 0) return 0;
  const ifRevision = app?.revision ?? "absent";
  try {
    await store.commit(
      [
        ...surplus.map(({ key }): Write => ({ op: "delete", kind: "secretVersion", key })),
        { op: "check", kind: "app", key: appId, ifRevision },
      ],
      withSignal(options),
    );
    return surplus.length;
  } catch (error) {
    if (isDinpError(error, "DINP_CONFLICT")) return 0;
    throw error;
  }
}

async function surplusOf(
  store: StateStore,
  app: Stored<"app">,
  versions: readonly Stored<"secretVersion">[],
  options: ReadOptions,
): Promise<readonly Stored<"secretVersion">[]> {
  const needed = await neededReleases(store, app.value, options);
  const names = new Set<string>();
  const held = new Set<string>();
  for (const { id, secrets = {} } of await listOf(store, "release", app.key, options)) {
    for (const { secret, version } of Object.values(secrets)) {
      names.add(secret);
      if (needed.has(id)) held.add(secretVersionKey(app.key, secret, version));
    }
  }
  const seen = new Map<string, number>();
  return [...versions]
    .sort((a, b) => b.value.version - a.value.version)
    .filter(({ key, value: { name } }) => {
      const newer = seen.get(name) ?? 0;
      seen.set(name, newer + 1);
      return !names.has(name) || (newer >= limits.secretVersionsKept && !held.has(key));
    });
}
