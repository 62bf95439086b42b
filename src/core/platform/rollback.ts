import { DinpError } from "../model/errors.js";
import type { Release, Rollout } from "../model/records.js";
import type { SecretVersion } from "../model/secrets.js";
import { listOf, requireApp, requireCurrent } from "./app-records.js";
import { change } from "./change.js";
import type { PlatformContext, WriteOptions } from "./context.js";
import { assertPort, assertPrograms } from "./programs.js";
import {
  contentOfRelease,
  releaseChange,
  sameContent,
  secretsField,
  type ReleaseContent,
} from "./release-writes.js";
import { rolloutsOf } from "./releases.js";
import type { RollbackRequest } from "./requests.js";
import { environmentChecks, latestVersions, secretVersionsOf, type SecretRefs } from "./secrets.js";
import { quoted } from "./text.js";
import { assertInteger } from "./validate.js";
import type { ReleaseResult } from "./views.js";

/** A release, and what going back to it would make. */
interface Target {
  readonly release: Release;
  readonly content: ReleaseContent;
}

/**
 * Makes a new release out of an old one, variables included; secrets have their latest values unless the request says
 * otherwise. `DINP_NOT_FOUND` when a value that it should have is not kept any more.
 */
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
    const secrets = await secretVersionsOf(context.store, stored.key, options);
    const latest = latestVersions(secrets.map(({ value }) => value));
    const targetOf = (release: Release): Target => ({
      release,
      content: contentToGoBackTo(release, latest, request.secrets ?? "latest"),
    });
    const { release, content } =
      request.to === undefined
        ? lastGood(releases.map(targetOf), current, await rolloutsOf(context, stored.value, options), name)
        : targetOf(chosen(releases, current, request.to, name));
    const writes = await environmentChecks(context, stored.key, content, options);
    await assertPort(context, release.template, options);
    await assertPrograms(context, release.requires, options);
    const note = `rollback to ${String(release.number)}`;
    return releaseChange(
      context,
      {
        ...{ app: stored.value, appRevision: stored.revision, current, now, writes },
        content: { ...content, note },
      },
      options,
    );
  });
}

function contentToGoBackTo(
  release: Release,
  latest: ReadonlyMap<string, SecretVersion>,
  which: "latest" | "as-released",
): ReleaseContent {
  const { secrets, ...content } = contentOfRelease(release);
  if (secrets === undefined) return content;
  return { ...content, ...secretsField(which === "latest" ? latestRefs(secrets, latest) : secrets) };
}

/** A secret of which nothing is kept stays as it is: the checks name it. */
function latestRefs(refs: SecretRefs, latest: ReadonlyMap<string, SecretVersion>): SecretRefs {
  return Object.fromEntries(
    Object.entries(refs).map(([variable, { secret, version }]) => [
      variable,
      { secret, version: latest.get(secret)?.version ?? version },
    ]),
  );
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

/** The newest release that ran well and would differ from the current one: going back to a copy would change nothing. */
function lastGood(
  targets: readonly Target[],
  current: Release,
  rollouts: ReadonlyMap<string, Rollout>,
  name: string,
): Target {
  const good = targets
    .filter(
      ({ release, content }) =>
        rollouts.get(release.id)?.state === "complete" && !sameContent(content, current),
    )
    .sort((a, b) => b.release.number - a.release.number)[0];
  if (good !== undefined) return good;
  throw new DinpError(
    "DINP_NOT_FOUND",
    `The app ${quoted(name)} has no other release that ran well, so there is nothing to go back to.`,
    { hint: "List the releases, and name one to go back to it all the same." },
  );
}
