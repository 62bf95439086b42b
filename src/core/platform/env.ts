import { assertEnv } from "../model/env.js";
import { DinpError } from "../model/errors.js";
import type { Release } from "../model/records.js";
import { secretVersionKey, type SecretVersion } from "../model/secrets.js";
import type { Write } from "../ports/state-store.js";
import { requireApp, requireCurrent, withSignal } from "./app-records.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import {
  contentOfRelease,
  releaseChange,
  sameContent,
  secretsField,
  unchangedRelease,
  type ReleaseContent,
} from "./release-writes.js";
import type { EnvRequest } from "./requests.js";
import {
  assertNotSecret,
  assertSecretValues,
  environmentChecks,
  newVersions,
  type SecretRefs,
} from "./secrets.js";
import { quoted } from "./text.js";
import type { EnvView, ReleaseResult, SecretView } from "./views.js";

/** The variables of the app's current release, with the values of those that are no secrets. */
export async function getEnv(context: PlatformContext, name: string, options: ReadOptions): Promise<EnvView> {
  const { value: app } = await requireApp(context.store, name, options);
  if (app.currentRelease === null) return { env: {}, manifestEnv: {}, secrets: {} };
  const current = await requireCurrent(context.store, app, options);
  const { env, manifestEnv } = current;
  return { env, manifestEnv, secrets: await secretViews(context, current, options) };
}

async function secretViews(
  { store }: PlatformContext,
  { appId, secrets = {} }: Release,
  options: ReadOptions,
): Promise<EnvView["secrets"]> {
  const views: Record<string, SecretView> = {};
  for (const [variable, { secret, version }] of Object.entries(secrets)) {
    const stored = await store.get(
      "secretVersion",
      secretVersionKey(appId, secret, version),
      withSignal(options),
    );
    views[variable] = {
      version,
      setAt: stored?.value.createdAt ?? null,
      setBy: stored?.value.createdBy ?? null,
    };
  }
  return views;
}

/** Sets and unsets variables by making a new release; the same values again make none. */
export async function changeEnv(
  context: PlatformContext,
  name: string,
  request: EnvRequest,
  options: WriteOptions,
): Promise<ReleaseResult> {
  const { set = {}, secrets = {} } = request;
  const unset = new Set(request.unset ?? []);
  assertRequest(set, secrets, unset);
  // Values of secrets are no part of what a repeated request is recognized by: a hash of them would be kept.
  const input = { name, request: { ...request, secrets: Object.keys(secrets).sort() } };
  return change(context, "env.change", input, options, async (now) => {
    const stored = await requireApp(context.store, name, options);
    const current = await requireCurrent(context.store, stored.value, options);
    assertUnsettable(unset, current);
    assertNotSecret(set, current.secrets);
    const made = await newVersions(context, stored.value, current, secrets, now, options);
    const content: ReleaseContent = {
      ...contentWithout(current, new Set([...unset, ...Object.keys(secrets)]), set, made.refs),
      note: noteOf(set, made.versions, unset),
    };
    const checks = await environmentChecks(context, stored.key, content, options, made.versions);
    if (sameContent(content, current)) {
      return { writes: [], events: [], result: unchangedRelease(stored.value, current) };
    }
    const writes = [
      ...checks,
      ...made.versions.map((value): Write => ({
        op: "put",
        kind: "secretVersion",
        value,
        ifRevision: "absent",
      })),
    ];
    return releaseChange(
      context,
      { app: stored.value, appRevision: stored.revision, current, content, now, writes },
      options,
    );
  });
}

/** The release's content without these variables of the user's, and with those. */
function contentWithout(
  current: Release,
  gone: ReadonlySet<string>,
  set: Readonly<Record<string, string>>,
  refs: SecretRefs,
): ReleaseContent {
  const { env, secrets = {}, ...content } = contentOfRelease(current);
  const kept = <T>(variables: Readonly<Record<string, T>>): [string, T][] =>
    Object.entries(variables).filter(([key]) => !gone.has(key));
  return {
    ...content,
    env: Object.fromEntries([...kept(env), ...Object.entries(set)]),
    ...secretsField(Object.fromEntries([...kept(secrets), ...Object.entries(refs)])),
  };
}

function assertRequest(
  set: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
  unset: ReadonlySet<string>,
): void {
  assertEnv(set);
  assertSecretValues(secrets);
  const named = [...Object.keys(set), ...Object.keys(secrets)];
  const both = named.find((name) => unset.has(name));
  if (both !== undefined) {
    throw new DinpError("DINP_INVALID", `The variable ${quoted(both)} is both set and unset.`, {
      hint: "Ask for one of the two.",
      details: { field: "unset" },
    });
  }
  const twice = Object.keys(set).find((name) => Object.hasOwn(secrets, name));
  if (twice !== undefined) {
    throw new DinpError(
      "DINP_INVALID",
      `The variable ${quoted(twice)} is given both plain and as a secret.`,
      {
        hint: "Give it once.",
        details: { field: "secrets" },
      },
    );
  }
  if (named.length > 0 || unset.size > 0) return;
  throw new DinpError(
    "DINP_INVALID",
    "Nothing to change: neither `set` nor `secrets` nor `unset` names a variable.",
    { details: { field: "set" } },
  );
}

/** A variable of the manifest cannot be unset here: the next push would bring it back. */
function assertUnsettable(unset: ReadonlySet<string>, { env, secrets = {}, manifestEnv }: Release): void {
  for (const name of unset) {
    if (Object.hasOwn(env, name) || Object.hasOwn(secrets, name) || !Object.hasOwn(manifestEnv, name))
      continue;
    throw new DinpError("DINP_INVALID", `The variable ${quoted(name)} comes from the app's dinp.yaml.`, {
      hint: "Remove it there and push again, or set it to another value.",
      details: { field: "unset" },
    });
  }
}

/** Names only: values may be secret. */
function noteOf(
  set: Readonly<Record<string, string>>,
  made: readonly SecretVersion[],
  unset: ReadonlySet<string>,
): string {
  const parts: string[] = [];
  const names = Object.keys(set);
  if (names.length > 0) parts.push(`env set ${names.join(" ")}`);
  for (const { name, version } of made) parts.push(`secret ${name} set to version ${String(version)}`);
  if (unset.size > 0) parts.push(`env unset ${[...unset].join(" ")}`);
  return parts.join(", ");
}
