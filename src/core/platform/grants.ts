import { DinpError } from "../model/errors.js";
import { assertGrants } from "../model/grants.js";
import type { App, AppGrants } from "../model/records.js";
import { requireApp, requireCurrent } from "./app-records.js";
import { canonicalJson, toJson } from "./canonical.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { areNodesPlain } from "./programs.js";
import { contentOfRelease, releaseChange, unchangedRelease } from "./release-writes.js";
import type { ReleaseResult } from "./views.js";

/** What the app may do beyond the defaults; empty: nothing. */
export async function getGrants(
  context: PlatformContext,
  name: string,
  options: ReadOptions,
): Promise<AppGrants> {
  const { value: app } = await requireApp(context.store, name, options);
  return app.grants ?? {};
}

/**
 * Grants the app exactly this, by an admin alone, and starts its instances anew by a new release of what it is; the same
 * grants again make none. They belong to the app: going back to an older release neither gives nor takes any.
 */
export async function setGrants(
  context: PlatformContext,
  name: string,
  request: AppGrants,
  options: WriteOptions,
): Promise<ReleaseResult> {
  if (options.caller.role !== "admin") throw adminsOnly();
  assertGrants(request);
  const grants = withoutNothing(request);
  if (grants !== undefined && (await areNodesPlain(context, options))) throw plainNodes();
  return change(context, "grants.set", { name, request }, options, async (now) => {
    const stored = await requireApp(context.store, name, options);
    const current = await requireCurrent(context.store, stored.value, options);
    const { grants: before, ...rest } = stored.value;
    if (canonicalJson(toJson(before ?? {})) === canonicalJson(toJson(grants ?? {})))
      return { writes: [], events: [], result: unchangedRelease(stored.value, current) };
    const app: App = grants === undefined ? rest : { ...rest, grants };
    const told = `granted: ${grantsText(grants ?? {})}`;
    const content = { ...contentOfRelease(current), note: told };
    const events = [{ type: "app.granted", message: `${app.name} is ${told}`, app }];
    return releaseChange(
      context,
      { app, appRevision: stored.revision, current, content, now, events },
      options,
    );
  });
}

/** In words, for people. */
export function grantsText({ user, writableRoot, capabilities, newPrivileges, pidsMax }: AppGrants): string {
  const parts = [
    ...(user === undefined ? [] : [user === "image" ? "the image's user" : `user ${user}`]),
    ...(writableRoot === true ? ["a writable root"] : []),
    ...(newPrivileges === true ? ["new privileges"] : []),
    ...(capabilities === undefined ? [] : [`capabilities ${capabilities.join(" ")}`]),
    ...(pidsMax === undefined ? [] : [`${String(pidsMax)} processes`]),
  ];
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

/** What changes nothing is not kept; undefined when nothing is left. */
function withoutNothing(request: AppGrants): AppGrants | undefined {
  const { user, writableRoot, capabilities = [], newPrivileges, pidsMax } = request;
  const grants: AppGrants = {
    ...(user === undefined ? {} : { user }),
    ...(writableRoot === true ? { writableRoot } : {}),
    ...(capabilities.length > 0 ? { capabilities: [...capabilities].sort() } : {}),
    ...(newPrivileges === true ? { newPrivileges } : {}),
    ...(pidsMax === undefined ? {} : { pidsMax }),
  };
  return Object.keys(grants).length === 0 ? undefined : grants;
}

function adminsOnly(): DinpError {
  return new DinpError("DINP_FORBIDDEN", "Only an admin may say what an app can do beyond the defaults.", {
    hint: "Ask whoever operates the platform.",
  });
}

function plainNodes(): DinpError {
  return new DinpError("DINP_INVALID", "All nodes run plain processes, where nothing can be granted.", {
    hint: 'Start the platform with "dinp up --runtime docker".',
  });
}
