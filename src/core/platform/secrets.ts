import { assertEnv } from "../model/env.js";
import { limits } from "../model/defaults.js";
import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import type { App, AppId, Release } from "../model/records.js";
import { secretVersionKey, type SecretRef, type SecretVersion } from "../model/secrets.js";
import type { StateStore, Stored, Write } from "../ports/state-store.js";
import { withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import type { ReleaseContent } from "./release-writes.js";
import { seal, secretPurpose, type SealingContext } from "./sealing.js";
import { quoted } from "./text.js";

/** References by variable, as a release has them. */
export type SecretRefs = Readonly<Record<string, SecretRef>>;

/** Every version of every secret of an app. */
export async function secretVersionsOf(
  store: StateStore,
  appId: AppId,
  options: ReadOptions,
): Promise<readonly Stored<"secretVersion">[]> {
  const found: Stored<"secretVersion">[] = [];
  const list = { index: { name: "app", value: appId }, ...withSignal(options) };
  for await (const stored of store.list("secretVersion", list)) found.push(stored);
  return found;
}

/** The newest version of each secret, by name. */
export function latestVersions(versions: readonly SecretVersion[]): ReadonlyMap<string, SecretVersion> {
  const latest = new Map<string, SecretVersion>();
  for (const version of versions) {
    if (version.version > (latest.get(version.name)?.version ?? 0)) latest.set(version.name, version);
  }
  return latest;
}

/**
 * The secrets that a release refers to, opened, by variable. `DINP_CORRUPT` when one cannot be: it names the secret, and why;
 * the store's errors, and those of the box.
 */
export async function openSecrets(
  { store, secrets }: SealingContext,
  { appId, secrets: refs = {} }: Pick<Release, "appId" | "secrets">,
  options: ReadOptions,
): Promise<Readonly<Record<string, string>>> {
  const opened: [string, string][] = [];
  for (const [variable, { secret, version }] of Object.entries(refs)) {
    const key = secretVersionKey(appId, secret, version);
    const stored = await store.get("secretVersion", key, withSignal(options));
    if (stored === null) throw cannotOpen(secret, version, "it is not in the store");
    try {
      opened.push([variable, await secrets.open(stored.value.sealed, secretPurpose(stored.value))]);
    } catch (error) {
      throw cannotOpen(secret, version, error);
    }
  }
  return Object.fromEntries(opened);
}

function cannotOpen(name: string, version: number, cause: unknown): DinpError {
  const why = typeof cause === "string" ? cause : messageOf(cause).replace(/\.$/, "");
  const known = isDinpError(cause) ? cause : null;
  return new DinpError(
    known?.code ?? "DINP_CORRUPT",
    `The secret ${quoted(name)} (version ${String(version)}) cannot be opened: ${why}.`,
    {
      cause,
      retryable: known?.retryable ?? false,
      hint: known?.hint ?? "Give the secret again, or restore the store from a backup.",
    },
  );
}

/** New versions of an app's secrets, to be committed with the release that refers to them. */
export interface NewSecrets {
  readonly refs: SecretRefs;
  readonly versions: readonly SecretVersion[];
}

/** Seals values as new versions; one that the current release has already makes none. */
export async function newVersions(
  context: PlatformContext,
  app: App,
  current: Release,
  values: Readonly<Record<string, string>>,
  now: number,
  options: WriteOptions,
): Promise<NewSecrets> {
  const names = Object.keys(values);
  if (names.length === 0) return { refs: {}, versions: [] };
  const known = await secretVersionsOf(context.store, app.id, options);
  const latest = latestVersions(known.map(({ value }) => value));
  const refs: Record<string, SecretRef> = {};
  const versions: SecretVersion[] = [];
  for (const name of names) {
    const value = values[name] ?? "";
    const ref = current.secrets?.[name];
    if (ref !== undefined && (await isSameValue(context, app.id, name, ref, value, options))) {
      refs[name] = ref;
      continue;
    }
    const about = {
      ...{ appId: app.id, name, version: (latest.get(name)?.version ?? 0) + 1 },
      ...{ createdAt: now, createdBy: options.caller.subject },
    };
    const sealed = await seal(context, value, secretPurpose(about), options);
    versions.push({ ...about, sealed, bytes: byteLength(value) });
    refs[name] = { secret: name, version: about.version };
  }
  return { refs, versions };
}

/** What cannot be opened any more is given anew. */
async function isSameValue(
  context: PlatformContext,
  appId: AppId,
  variable: string,
  ref: SecretRef,
  value: string,
  options: ReadOptions,
): Promise<boolean> {
  try {
    const opened = await openSecrets(context, { appId, secrets: { [variable]: ref } }, options);
    return opened[variable] === value;
  } catch (error) {
    if (!isDinpError(error) || error.retryable) throw error;
    return false;
  }
}

/** Throws `DINP_INVALID` unless these can be values of secrets. Messages never contain one. */
export function assertSecretValues(values: Readonly<Record<string, string>>): void {
  assertEnv(values);
  for (const [name, value] of Object.entries(values)) {
    if (name.length > limits.secretNameMax) {
      const most = String(limits.secretNameMax);
      throw invalid(name, `The name of the secret ${quoted(name)} is longer than ${most} characters.`);
    }
    if (byteLength(value) > limits.secretBytesMax) {
      const most = String(limits.secretBytesMax);
      throw invalid(name, `The value of the secret ${quoted(name)} is longer than ${most} bytes.`);
    }
  }
}

function invalid(name: string, message: string): DinpError {
  return new DinpError("DINP_INVALID", message, { details: { field: `secrets.${name.slice(0, 80)}` } });
}

/** Throws `DINP_INVALID` when a plain value is given for a variable that is a secret: it would be stored for all to read. */
export function assertNotSecret(set: Readonly<Record<string, string>>, refs: SecretRefs = {}): void {
  const name = Object.keys(set).find((each) => Object.hasOwn(refs, each));
  if (name === undefined) return;
  throw new DinpError("DINP_INVALID", `The variable ${quoted(name)} is a secret.`, {
    hint: 'Set it with "dinp env set --secret"; to make it a plain variable, unset it first.',
    details: { field: `env.${name.slice(0, 80)}` },
  });
}

/**
 * Checks a release's whole environment, its secrets by their length (`DINP_INVALID`), and gives the writes by which the
 * commit is refused when a secret that it refers to is gone meanwhile.
 */
export async function environmentChecks(
  context: PlatformContext,
  appId: AppId,
  content: Pick<ReleaseContent, "env" | "manifestEnv" | "secrets">,
  options: ReadOptions,
  made: readonly SecretVersion[] = [],
): Promise<Write[]> {
  const { env, manifestEnv, secrets = {} } = content;
  const bytes: Record<string, number> = {};
  const checks = new Map<string, Write>();
  for (const [variable, { secret, version }] of Object.entries(secrets)) {
    const fresh = made.find((each) => each.name === secret && each.version === version);
    if (fresh !== undefined) bytes[variable] = fresh.bytes;
    else {
      const key = secretVersionKey(appId, secret, version);
      const stored = await context.store.get("secretVersion", key, withSignal(options));
      if (stored === null) throw versionGone(secret, version);
      bytes[variable] = stored.value.bytes;
      checks.set(key, { op: "check", kind: "secretVersion", key, ifRevision: stored.revision });
    }
  }
  assertEnv({ ...manifestEnv, ...env }, bytes);
  return [...checks.values()];
}

function versionGone(name: string, version: number): DinpError {
  return new DinpError(
    "DINP_NOT_FOUND",
    `The secret ${quoted(name)} has no version ${String(version)} any more.`,
    { hint: "Give the secret again, or take its latest version.", details: { secret: name, version } },
  );
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
