import { newTimeId } from "../model/ids.js";
import type { App, Release } from "../model/records.js";
import type { Write } from "../ports/state-store.js";
import { canonicalJson, toJson } from "./canonical.js";
import type { Change, NewEvent } from "./change.js";
import type { PlatformContext, WriteOptions } from "./context.js";
import { releaseView } from "./app-views.js";
import { printable } from "./text.js";
import type { ReleaseResult } from "./views.js";

/** What of a release its maker decides. */
export type ReleaseContent = Omit<Release, "id" | "appId" | "number" | "createdAt" | "createdBy">;

/** What a release says, without what makes it that release. */
export function contentOfRelease(release: ReleaseContent): ReleaseContent {
  return {
    image: release.image,
    template: release.template,
    command: release.command,
    requires: release.requires,
    env: release.env,
    manifestEnv: release.manifestEnv,
    ...secretsField(release.secrets),
    memoryMb: release.memoryMb,
    cpuMillis: release.cpuMillis,
    check: release.check,
    stopGraceMs: release.stopGraceMs,
    drainMs: release.drainMs,
    buildId: release.buildId,
    note: release.note,
  };
}

/** A release without secrets says nothing of them. */
export function secretsField(refs: Release["secrets"]): Pick<Release, "secrets"> {
  return refs === undefined || Object.keys(refs).length === 0 ? {} : { secrets: refs };
}

/** True when instances of the two would not differ in anything: of which build they are, and why, does not count. */
export function sameContent(a: ReleaseContent, b: ReleaseContent): boolean {
  return contentKey(a) === contentKey(b);
}

function contentKey(content: ReleaseContent): string {
  return canonicalJson(toJson({ ...contentOfRelease(content), buildId: null, note: "" }));
}

/** Makes `content` the next release of the app: all in one commit, guarded by the app's revision. */
export function releaseChange(
  context: PlatformContext,
  made: {
    /** The app as it will be, but for its current release. */
    readonly app: App;
    readonly appRevision: number | "absent";
    readonly current: Release | null;
    readonly content: ReleaseContent;
    readonly now: number;
    readonly writes?: readonly Write[];
    readonly events?: readonly NewEvent[];
  },
  options: WriteOptions,
): Change<ReleaseResult> {
  const { content, now } = made;
  const release: Release = {
    ...content,
    id: newTimeId(context.random, now, "rel"),
    appId: made.app.id,
    number: (made.current?.number ?? 0) + 1,
    note: printable(content.note, 500),
    createdAt: now,
    createdBy: options.caller.subject,
  };
  const app: App = { ...made.app, currentRelease: release.id };
  const message = `release ${String(release.number)} of ${app.name}: ${release.note}, image ${release.image.digest.slice(0, 19)}`;
  return {
    writes: [
      { op: "put", kind: "app", value: app, ifRevision: made.appRevision },
      { op: "put", kind: "release", value: release, ifRevision: "absent" },
      ...(made.writes ?? []),
    ],
    events: [...(made.events ?? []), { type: "release.created", message, app }],
    result: { ...releaseView(app, release, null), unchanged: false },
  };
}

/** The answer when nothing differs from the current release. */
export function unchangedRelease(app: App, current: Release): ReleaseResult {
  return { ...releaseView(app, current, null), unchanged: true };
}
