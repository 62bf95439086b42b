import { argumentsOf, type Template } from "../build/index.js";
import { defaultCheck, releaseDefaults } from "../model/defaults.js";
import { newId } from "../model/ids.js";
import { assertCommand } from "../model/manifest.js";
import { assertAppName } from "../model/names.js";
import type { App, Release, Rollout } from "../model/records.js";
import type { Stored, Write } from "../ports/state-store.js";
import { findApp, findAppEvenDeleted, listOf, requireCurrent, withSignal } from "./app-records.js";
import { releaseView } from "./app-views.js";
import { change, type Change, type NewEvent } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { appRepository } from "./discards.js";
import { claimDomains } from "./domains.js";
import { assertBase, assertPort, assertPrograms, programsOf } from "./programs.js";
import {
  releaseChange,
  sameContent,
  secretsField,
  unchangedRelease,
  type ReleaseContent,
} from "./release-writes.js";
import { assertNotSecret, environmentChecks } from "./secrets.js";
import { sourceOf, type ReleaseSource } from "./release-source.js";
import type { ReleaseRequest } from "./requests.js";
import { assertSizes } from "./validate.js";
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

/** By release. */
export async function rolloutsOf(
  context: PlatformContext,
  app: App,
  options: ReadOptions,
): Promise<Map<string, Rollout>> {
  const rollouts = await listOf(context.store, "rollout", app.id, options);
  return new Map(rollouts.map((rollout) => [rollout.releaseId, rollout]));
}

/**
 * Makes a release out of a finished build or an image that exists, and the app when there is none; a stopped app is
 * started. A push that changes nothing makes no release. Errors: `DINP_INVALID`, `DINP_NOT_FOUND` (the build),
 * `DINP_IMAGE_NOT_FOUND`, `DINP_NO_COMMAND` (of an image), `DINP_NOT_UNIQUE` (a domain of the manifest),
 * `DINP_PROGRAM_MISSING`.
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
  return context.uses.during(appRepository(name), () => makeRelease(context, name, request, options));
}

function makeRelease(
  context: PlatformContext,
  name: string,
  request: ReleaseRequest,
  options: WriteOptions,
): Promise<ReleaseResult> {
  const find = sourceOf(context, name, request, options);
  return change(context, "release.create", { name, request }, options, async (now) => {
    const source = await find();
    const known = await findApp(context.store, name, options);
    const current =
      known === null || known.value.currentRelease === null
        ? null
        : await requireCurrent(context.store, known.value, options);
    const app = nextApp(context, name, known?.value ?? null, source, request, now);
    const content = contentOf(context.builder.templates, source, request, current);
    assertNotSecret(request.env ?? {}, content.secrets);
    const checks = await environmentChecks(context, app.id, content, options);
    await assertPort(context, content.template, options);
    await assertPrograms(context, content.requires, options);
    await assertBase(context, content, options);
    return pushChange(context, { known, app, current, content, checks, source, now }, options);
  });
}

export function nextApp(
  context: PlatformContext,
  name: string,
  known: App | null,
  source: Pick<ReleaseSource, "manifest">,
  request: Pick<ReleaseRequest, "instances">,
  now: number,
): App {
  const asked = request.instances ?? source.manifest?.instances;
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

/** The request wins over the manifest, the manifest over what the current release has, that over the template. */
export function contentOf(
  templates: readonly Template[],
  source: ReleaseSource,
  request: Omit<ReleaseRequest, "buildId" | "image">,
  current: Release | null,
): ReleaseContent {
  const manifest = source.manifest ?? {};
  const usualCheck = { ...defaultCheck, ...templates.find(({ name }) => name === source.template)?.check };
  return {
    image: source.image,
    template: source.template,
    ...startOf(templates, source, request),
    env: { ...current?.env, ...request.env },
    manifestEnv: manifest.env ?? {},
    ...secretsField(current?.secrets),
    memoryMb: request.memoryMb ?? manifest.memoryMb ?? current?.memoryMb ?? releaseDefaults.memoryMb,
    cpuMillis: request.cpuMillis ?? manifest.cpuMillis ?? current?.cpuMillis ?? releaseDefaults.cpuMillis,
    check:
      manifest.check === undefined ? (current?.check ?? usualCheck) : { ...usualCheck, ...manifest.check },
    stopGraceMs: manifest.stopGraceMs ?? current?.stopGraceMs ?? releaseDefaults.stopGraceMs,
    drainMs: manifest.drainMs ?? current?.drainMs ?? releaseDefaults.drainMs,
    buildId: source.buildId,
    note: request.note ?? source.note,
  };
}

/** How the app starts, and which programs that takes: the request's command, else the source's. */
function startOf(
  templates: readonly Template[],
  source: ReleaseSource,
  request: Omit<ReleaseRequest, "buildId" | "image">,
): Pick<Release, "command" | "requires"> {
  // Of an image the request's command is in it already: it depends on where the image starts its own.
  if (request.command === undefined || source.buildId === null)
    return { command: source.command, requires: source.requires };
  const command = argumentsOf(request.command);
  return { command, requires: programsOf(templates, source.template, command) };
}

interface Push {
  readonly known: Stored<"app"> | null;
  readonly app: App;
  readonly current: Release | null;
  readonly content: ReleaseContent;
  /** What the release relies on. */
  readonly checks: readonly Write[];
  readonly source: ReleaseSource;
  readonly now: number;
}

async function pushChange(
  context: PlatformContext,
  push: Push,
  options: WriteOptions,
): Promise<Change<ReleaseResult>> {
  const { known, app, current, content, now } = push;
  const hosts = (push.source.manifest?.domains ?? []).map((host) => ({ host }));
  const { writes: claims } = await claimDomains(context, app, hosts, now, options);
  const events = pushEvents(push, claims.length);
  const appRevision = known?.revision ?? "absent";
  if (current === null || !(await isSettled(context, current, content, options))) {
    const writes = [...claims, ...push.checks];
    return releaseChange(context, { app, appRevision, current, content, now, writes, events }, options);
  }
  const result = unchangedRelease(app, current);
  if (events.length === 0) return { writes: [], events, result };
  return {
    writes: [{ op: "put", kind: "app", value: app, ifRevision: appRevision }, ...claims],
    events,
    result,
  };
}

/** True when a release of this content is the current one, and did not fail. */
export async function isSettled(
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
