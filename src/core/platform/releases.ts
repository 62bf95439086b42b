import { argumentsOf, requiredPrograms, templateNamed } from "../build/index.js";
import { defaultCheck, releaseDefaults } from "../model/defaults.js";
import { assertEnv } from "../model/env.js";
import { DinpError } from "../model/errors.js";
import { newId } from "../model/ids.js";
import { assertCommand } from "../model/manifest.js";
import { assertAppName } from "../model/names.js";
import type { App, Build, ImageRef, Release, Rollout } from "../model/records.js";
import type { Stored } from "../ports/state-store.js";
import { findAppEvenDeleted, listOf, requireApp, requireCurrent, withSignal } from "./app-records.js";
import { releaseView } from "./app-views.js";
import { change, type Change, type NewEvent } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { claimDomains } from "./domains.js";
import { assertPrograms } from "./programs.js";
import {
  contentOfRelease,
  releaseChange,
  sameContent,
  unchangedRelease,
  type ReleaseContent,
} from "./release-writes.js";
import type { ReleaseRequest, RollbackRequest } from "./requests.js";
import { printable, quoted } from "./text.js";
import { assertInteger, assertSizes } from "./validate.js";
import type { ReleaseResult, ReleaseView } from "./views.js";

/** Newest first, each with how its rollout stands. */
export async function listReleases(
  context: PlatformContext,
  name: string,
  options: ReadOptions,
): Promise<ReleaseView[]> {
  const app = await findAppEvenDeleted(context.store, name, options);
  const releases = await listOf(context.store, "release", app.id, options);
  const rollouts = await rolloutsOf(context, app, options);
  return releases.sort((a, b) => b.number - a.number).map((release) => releaseView(app, release, rollouts));
}

async function rolloutsOf(
  context: PlatformContext,
  app: App,
  options: ReadOptions,
): Promise<Map<string, Rollout>> {
  const rollouts = await listOf(context.store, "rollout", app.id, options);
  return new Map(rollouts.map((rollout) => [rollout.releaseId, rollout]));
}

/**
 * Makes a release out of a finished build, and the app when there is none; a stopped app is started. A push that
 * changes nothing makes no release. Errors: `DINP_INVALID`, `DINP_NOT_FOUND` (the build), `DINP_NOT_UNIQUE` (a domain
 * of the manifest), `DINP_PROGRAM_MISSING`.
 */
export async function createRelease(
  context: PlatformContext,
  name: string,
  request: ReleaseRequest,
  options: WriteOptions,
): Promise<ReleaseResult> {
  assertAppName(name);
  assertSizes(request);
  if (request.command !== undefined) assertCommand(request.command);
  return change(context, "release.create", { name, request }, options, async (now) => {
    const { build, image } = await finishedBuild(context, name, request.buildId, options);
    const known = await context.store.getUnique("app", "name", name, withSignal(options));
    const current =
      known === null || known.value.currentRelease === null
        ? null
        : await requireCurrent(context.store, known.value, options);
    const app = nextApp(context, name, known?.value ?? null, build, request, now);
    const content = contentOf(build, image, request, current);
    assertEnv({ ...content.manifestEnv, ...content.env });
    await assertPrograms(context, content.requires, options);
    return pushChange(context, { known, app, current, content, build, now }, options);
  });
}

async function finishedBuild(
  context: PlatformContext,
  name: string,
  buildId: string,
  options: ReadOptions,
): Promise<{ readonly build: Build; readonly image: ImageRef }> {
  const stored = isKey(buildId) ? await context.store.get("build", buildId, withSignal(options)) : null;
  const build = stored?.value;
  if (build?.appName !== name) {
    throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(name)} has no build ${quoted(buildId)}.`, {
      hint: "Upload the code first; the answer names the build.",
      details: { field: "buildId" },
    });
  }
  if (build.state === "succeeded" && build.image !== null) return { build, image: build.image };
  const why = build.state === "running" ? "has not ended yet" : `failed: ${build.error ?? "no reason given"}`;
  throw new DinpError("DINP_INVALID", `The build ${quoted(buildId)} ${why}.`, {
    details: { field: "buildId" },
  });
}

/** True for text that can be a record's key. */
export function isKey(text: string): boolean {
  return /^[\x20-\x7e]{1,255}$/.test(text);
}

function nextApp(
  context: PlatformContext,
  name: string,
  known: App | null,
  build: Build,
  request: ReleaseRequest,
  now: number,
): App {
  const asked = request.instances ?? build.manifest?.instances;
  if (known !== null) return { ...known, desired: "running", instances: asked ?? known.instances };
  return {
    id: newId(context.random, "app"),
    name,
    teamId: "default",
    desired: "running",
    instances: asked ?? releaseDefaults.instances,
    currentRelease: null,
    createdAt: now,
    deletedAt: null,
  };
}

/** The request wins over the manifest, the manifest over what the current release has. */
function contentOf(
  build: Build,
  image: ImageRef,
  request: ReleaseRequest,
  current: Release | null,
): ReleaseContent {
  const manifest = build.manifest ?? {};
  return {
    image,
    template: build.template,
    ...startOf(build, request),
    env: { ...current?.env, ...request.env },
    manifestEnv: manifest.env ?? {},
    memoryMb: request.memoryMb ?? manifest.memoryMb ?? current?.memoryMb ?? releaseDefaults.memoryMb,
    cpuMillis: request.cpuMillis ?? manifest.cpuMillis ?? current?.cpuMillis ?? releaseDefaults.cpuMillis,
    check:
      manifest.check === undefined
        ? (current?.check ?? defaultCheck)
        : { ...defaultCheck, ...manifest.check },
    stopGraceMs: manifest.stopGraceMs ?? current?.stopGraceMs ?? releaseDefaults.stopGraceMs,
    drainMs: manifest.drainMs ?? current?.drainMs ?? releaseDefaults.drainMs,
    buildId: build.id,
    note: request.note ?? "push",
  };
}

/** How the app starts, and which programs that takes: the request's command, else the build's. */
function startOf(build: Build, request: ReleaseRequest): Pick<Release, "command" | "requires"> {
  if (request.command === undefined) return { command: build.command, requires: build.requires };
  const command = argumentsOf(request.command);
  return { command, requires: requiredPrograms(templateNamed(build.template), command) };
}

interface Push {
  readonly known: Stored<"app"> | null;
  readonly app: App;
  readonly current: Release | null;
  readonly content: ReleaseContent;
  readonly build: Build;
  readonly now: number;
}

async function pushChange(
  context: PlatformContext,
  push: Push,
  options: WriteOptions,
): Promise<Change<ReleaseResult>> {
  const { known, app, current, content, now } = push;
  const hosts = (push.build.manifest?.domains ?? []).map((host) => ({ host }));
  const { writes } = await claimDomains(context, app, hosts, now, options);
  const events = pushEvents(push, writes.length);
  const appRevision = known?.revision ?? "absent";
  if (current === null || !(await isSettled(context, current, content, options))) {
    return releaseChange(context, { app, appRevision, current, content, now, writes, events }, options);
  }
  const result = unchangedRelease(app, current);
  if (events.length === 0) return { writes: [], events, result };
  return {
    writes: [{ op: "put", kind: "app", value: app, ifRevision: appRevision }, ...writes],
    events,
    result,
  };
}

/** True when a release of this content is the current one, and did not fail. */
async function isSettled(
  context: PlatformContext,
  current: Release,
  content: ReleaseContent,
  options: ReadOptions,
): Promise<boolean> {
  if (!sameContent(content, current)) return false;
  const rollout = await context.store.get("rollout", current.id, withSignal(options));
  return rollout?.value.state !== "failed";
}

/** What a push changes besides the release. */
function pushEvents({ known, app }: Push, domainCount: number): NewEvent[] {
  const events: NewEvent[] = [];
  const before = known?.value;
  if (before === undefined) events.push({ type: "app.created", message: `created ${app.name}`, app });
  if (before?.desired === "stopped")
    events.push({ type: "app.started", message: `started ${app.name} by a push`, app });
  if (before !== undefined && before.instances !== app.instances) {
    const message = `scaled ${app.name} from ${String(before.instances)} to ${String(app.instances)} instances`;
    events.push({ type: "app.scaled", message, app });
  }
  if (domainCount > 0) {
    events.push({
      type: "domain.added",
      message: `${app.name} got ${String(domainCount)} domains from its dinp.yaml`,
      app,
    });
  }
  return events;
}

/** Makes a new release out of an old one, variables included. */
export async function rollback(
  context: PlatformContext,
  name: string,
  request: RollbackRequest,
  options: WriteOptions,
): Promise<ReleaseResult> {
  if (request.to !== undefined) assertInteger("to", request.to, 1, Number.MAX_SAFE_INTEGER);
  return change(context, "release.rollback", { name, request }, options, async (now) => {
    const stored = await requireApp(context.store, name, options);
    const current = await requireCurrent(context.store, stored.value, options);
    const releases = await listOf(context.store, "release", stored.key, options);
    const target =
      request.to === undefined
        ? lastGood(releases, current, await rolloutsOf(context, stored.value, options), name)
        : chosen(releases, current, request.to, name);
    await assertPrograms(context, target.requires, options);
    return releaseChange(
      context,
      {
        app: stored.value,
        appRevision: stored.revision,
        current,
        content: { ...contentOfRelease(target), note: `rollback to ${String(target.number)}` },
        now,
      },
      options,
    );
  });
}

function chosen(releases: readonly Release[], current: Release, to: number, name: string): Release {
  if (to === current.number) {
    throw new DinpError("DINP_INVALID", `Release ${String(to)} of ${quoted(name)} is the current one.`, {
      hint: "List the releases, and name another one.",
      details: { field: "to" },
    });
  }
  const found = releases.find((release) => release.number === to);
  if (found !== undefined) return found;
  throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(name)} has no release ${String(to)}.`, {
    hint: `Its newest is ${String(current.number)}; list the releases to see all.`,
    details: { field: "to" },
  });
}

/** The newest release that ran well and differs from the current one: going back to a copy would change nothing. */
function lastGood(
  releases: readonly Release[],
  current: Release,
  rollouts: ReadonlyMap<string, Rollout>,
  name: string,
): Release {
  const good = releases
    .filter((release) => rollouts.get(release.id)?.state === "complete" && !sameContent(release, current))
    .sort((a, b) => b.number - a.number)[0];
  if (good !== undefined) return good;
  throw new DinpError(
    "DINP_NOT_FOUND",
    `The app ${quoted(name)} has no other release that ran well, so there is nothing to go back to.`,
    { hint: printable("List the releases, and name one to go back to it all the same.") },
  );
}
