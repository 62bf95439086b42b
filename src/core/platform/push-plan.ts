import { argumentsOf, templateNamed, type Template } from "../build/index.js";
import { DinpError, isDinpError } from "../model/errors.js";
import { newTimeId } from "../model/ids.js";
import { assertCommand, parseManifest } from "../model/manifest.js";
import { assertAppName } from "../model/names.js";
import type { App, ImageRef, Release } from "../model/records.js";
import { requireCurrent, withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { claimDomains } from "./domains.js";
import { plannedImage } from "./image-source.js";
import type { FieldChangeView, PushPlanView } from "./plan-views.js";
import { assertPort, assertPrograms, programsOf } from "./programs.js";
import type { ReleaseSource } from "./release-source.js";
import { contentOf, isSettled, nextApp } from "./releases.js";
import type { ReleaseContent } from "./release-writes.js";
import type { PlanRequest } from "./requests.js";
import { assertNotSecret, environmentChecks } from "./secrets.js";
import { assertSizes } from "./validate.js";

/** What a push would be made of; what is null or false is not known before the code is built. */
interface Planned extends Omit<ReleaseSource, "image"> {
  readonly image: ImageRef | null;
  readonly isTemplateKnown: boolean;
  readonly isCommandKnown: boolean;
}

/**
 * What a push of this would change, and what the platform would do first. Writes nothing. Unless the request names an image
 * that exists, the image is not known before the code is built, nor are the template and the command that nobody names.
 * Errors as a push's.
 */
export async function planPush(
  context: PlatformContext,
  name: string,
  request: PlanRequest,
  options: ReadOptions,
): Promise<PushPlanView> {
  assertAppName(name);
  assertSizes(request);
  if (request.command !== undefined) assertCommand(request.command);
  const { store, clock, random } = context;
  const now = clock.now();
  const known = (await store.getUnique("app", "name", name, withSignal(options)))?.value ?? null;
  const current =
    known === null || known.currentRelease === null ? null : await requireCurrent(store, known, options);
  const planned = await plannedSource(context, name, request, current, options);
  const image = planned.image ?? current?.image ?? { repository: "", digest: "" };
  const content = contentOf(context.builder.templates, { ...planned, image }, request, current);
  const app = nextApp(context, name, known, planned, request, now);
  const release: Release = {
    ...content,
    id: newTimeId(random, now, "rel"),
    appId: app.id,
    number: (current?.number ?? 0) + 1,
    createdAt: now,
    createdBy: "",
  };
  const isSame =
    planned.image !== null && current !== null && (await isSettled(context, current, content, options));
  const { domains, problems } = await checks(context, { app, content, planned, request, now }, options);
  const plan = context
    .cluster()
    .plan(isSame ? { app, release: current } : { app: { ...app, currentRelease: release.id }, release });
  return {
    app: name,
    exists: known !== null,
    release: current?.number ?? null,
    nextRelease: isSame ? null : release.number,
    changes: [...appChanges(known, app), ...releaseChanges(current, content, planned)],
    env: envChanges(current, content),
    domains,
    problems,
    plan: plan.apps.find(({ app: planned }) => planned === name) ?? { app: name, actions: [], refused: [] },
    wakeAt: plan.wakeAt,
  };
}

async function plannedSource(
  context: PlatformContext,
  name: string,
  request: PlanRequest,
  current: Release | null,
  options: ReadOptions,
): Promise<Planned> {
  const { image, command, manifest, template } = request;
  if (image === undefined) return plannedBuild(context.builder.templates, request, current);
  if (manifest !== undefined || template !== undefined) {
    throw new DinpError(
      "DINP_INVALID",
      "An image is released as it is: no manifest and no template go with it.",
      {
        hint: "Name either an image, or what is to be built.",
        details: { field: "image" },
      },
    );
  }
  const source = await plannedImage(context, { app: name, reference: image, command }, options);
  return { ...source, isTemplateKnown: true, isCommandKnown: true };
}

function plannedBuild(
  templates: readonly Template[],
  request: PlanRequest,
  current: Release | null,
): Planned {
  const manifest = request.manifest === undefined ? null : parseManifest(request.manifest);
  const named = request.template ?? manifest?.template;
  if (named !== undefined) templateNamed(templates, named);
  const template = named ?? current?.template ?? "";
  const line = request.command ?? manifest?.command;
  const made = {
    ...{ buildId: "", image: null, note: "push", template, manifest },
    isTemplateKnown: template !== "",
    isCommandKnown: line !== undefined,
  };
  if (line === undefined)
    return { ...made, command: current?.command ?? [], requires: current?.requires ?? [] };
  const command = argumentsOf(line);
  // A request's command is looked at together with its template, which may not be known yet.
  return { ...made, command, requires: programsOf(templates, template, command) };
}

/** What would be claimed, and what a push would be refused for. */
async function checks(
  context: PlatformContext,
  push: {
    readonly app: App;
    readonly content: ReleaseContent;
    readonly planned: Planned;
    readonly request: PlanRequest;
    readonly now: number;
  },
  options: ReadOptions,
): Promise<{ readonly domains: readonly string[]; readonly problems: readonly string[] }> {
  const { app, content, planned, request, now } = push;
  const problems: string[] = [];
  const attempt = async (check: () => Promise<void> | void): Promise<void> => {
    try {
      await check();
    } catch (error) {
      if (!isDinpError(error) || error.retryable) throw error;
      problems.push(error.message);
    }
  };
  const domains: string[] = [];
  await attempt(() => {
    assertNotSecret(request.env ?? {}, content.secrets);
  });
  await attempt(async () => {
    await environmentChecks(context, app.id, content, options);
  });
  await attempt(() => assertPort(context, content.template, options));
  await attempt(() => assertPrograms(context, content.requires, options));
  await attempt(async () => {
    const wanted = (planned.manifest?.domains ?? []).map((host) => ({ host }));
    const { writes } = await claimDomains(context, app, wanted, now, options);
    for (const write of writes)
      if (write.op === "put" && write.kind === "domain") domains.push(write.value.host);
  });
  return { domains, problems };
}

function appChanges(known: App | null, next: App): FieldChangeView[] {
  const changes: FieldChangeView[] = [];
  if (known?.instances !== next.instances)
    changes.push(changed("instances", known?.instances ?? null, next.instances));
  if (known !== null && known.desired !== next.desired)
    changes.push(changed("desired", known.desired, next.desired));
  return changes;
}

const FIELDS = ["template", "command", "memoryMb", "cpuMillis", "check", "stopGraceMs", "drainMs"] as const;

function releaseChanges(
  current: Release | null,
  content: ReleaseContent,
  planned: Planned,
): FieldChangeView[] {
  const isKnown = { template: planned.isTemplateKnown, command: planned.isCommandKnown };
  const [before, after] = [current?.image.digest ?? null, planned.image?.digest ?? null];
  const changes: FieldChangeView[] =
    after !== null && before === after ? [] : [changed("image", before, after)];
  for (const field of FIELDS) {
    const isFoundOut = (field === "template" || field === "command") && !isKnown[field];
    if (isFoundOut) {
      if (current === null) changes.push(changed(field, null, null));
    } else if (text(current?.[field] ?? null) !== text(content[field])) {
      changes.push(changed(field, current?.[field] ?? null, content[field]));
    }
  }
  return changes;
}

function changed(field: string, from: unknown, to: unknown): FieldChangeView {
  return { field, from: text(from), to: text(to) };
}

function text(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function envChanges(current: Release | null, content: ReleaseContent): PushPlanView["env"] {
  const before = comparableEnv(current);
  const after = comparableEnv(content);
  return {
    added: [...after.keys()].filter((name) => !before.has(name)).sort(),
    removed: [...before.keys()].filter((name) => !after.has(name)).sort(),
    changed: [...after].flatMap(([name, value]) =>
      before.has(name) && before.get(name) !== value ? [name] : [],
    ),
  };
}

/** What tells whether a variable changes: its value, or which version of a secret it is. */
function comparableEnv(
  content: Pick<ReleaseContent, "env" | "manifestEnv" | "secrets"> | null,
): ReadonlyMap<string, string> {
  const plain = Object.entries({ ...content?.manifestEnv, ...content?.env });
  const secrets = Object.entries(content?.secrets ?? {});
  return new Map([
    ...plain.map(([name, value]) => [name, `= ${value}`] as const),
    ...secrets.map(([name, { secret, version }]) => [name, `${secret} ${String(version)}`] as const),
  ]);
}
