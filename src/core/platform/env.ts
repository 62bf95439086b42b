import { assertEnv } from "../model/env.js";
import { DinpError } from "../model/errors.js";
import { requireApp, requireCurrent } from "./app-records.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { contentOfRelease, releaseChange, sameContent, unchangedRelease } from "./release-writes.js";
import type { EnvRequest } from "./requests.js";
import { quoted } from "./text.js";
import type { EnvView, ReleaseResult } from "./views.js";

/** The variables of the app's current release, with their values. */
export async function getEnv(context: PlatformContext, name: string, options: ReadOptions): Promise<EnvView> {
  const { value: app } = await requireApp(context.store, name, options);
  if (app.currentRelease === null) return { env: {}, manifestEnv: {} };
  const { env, manifestEnv } = await requireCurrent(context.store, app, options);
  return { env, manifestEnv };
}

/** Sets and unsets variables by making a new release; the same values again make none. */
export async function changeEnv(
  context: PlatformContext,
  name: string,
  request: EnvRequest,
  options: WriteOptions,
): Promise<ReleaseResult> {
  const set = request.set ?? {};
  const unset = new Set(request.unset ?? []);
  assertRequest(set, unset);
  return change(context, "env.change", { name, request }, options, async (now) => {
    const stored = await requireApp(context.store, name, options);
    const current = await requireCurrent(context.store, stored.value, options);
    const kept = Object.entries(current.env).filter(([key]) => !unset.has(key));
    const env = Object.fromEntries([...kept, ...Object.entries(set)]);
    assertUnsettable(unset, current.env, current.manifestEnv);
    assertEnv({ ...current.manifestEnv, ...env });
    const content = { ...contentOfRelease(current), env, note: noteOf(set, unset) };
    if (sameContent(content, current)) {
      return { writes: [], events: [], result: unchangedRelease(stored.value, current) };
    }
    return releaseChange(
      context,
      { app: stored.value, appRevision: stored.revision, current, content, now },
      options,
    );
  });
}

function assertRequest(set: Readonly<Record<string, string>>, unset: ReadonlySet<string>): void {
  assertEnv(set);
  const both = Object.keys(set).find((name) => unset.has(name));
  if (both !== undefined) {
    throw new DinpError("DINP_INVALID", `The variable ${quoted(both)} is both set and unset.`, {
      hint: "Ask for one of the two.",
      details: { field: "unset" },
    });
  }
  if (Object.keys(set).length > 0 || unset.size > 0) return;
  throw new DinpError("DINP_INVALID", "Nothing to change: neither `set` nor `unset` names a variable.", {
    details: { field: "set" },
  });
}

/** A variable of the manifest cannot be unset here: the next push would bring it back. */
function assertUnsettable(
  unset: ReadonlySet<string>,
  env: Readonly<Record<string, string>>,
  manifestEnv: Readonly<Record<string, string>>,
): void {
  for (const name of unset) {
    if (Object.hasOwn(env, name) || !Object.hasOwn(manifestEnv, name)) continue;
    throw new DinpError("DINP_INVALID", `The variable ${quoted(name)} comes from the app's dinp.yaml.`, {
      hint: "Remove it there and push again, or set it to another value.",
      details: { field: "unset" },
    });
  }
}

/** Names only: values may be secret. */
function noteOf(set: Readonly<Record<string, string>>, unset: ReadonlySet<string>): string {
  const parts: string[] = [];
  const names = Object.keys(set);
  if (names.length > 0) parts.push(`env set ${names.join(" ")}`);
  if (unset.size > 0) parts.push(`env unset ${[...unset].join(" ")}`);
  return parts.join(", ");
}
