import { DinpError } from "../model/errors.js";
import type { Build, Release } from "../model/records.js";
import { withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { imageSource } from "./image-source.js";
import { areNodesPlain, isByDockerfile } from "./programs.js";
import type { ReleaseRequest } from "./requests.js";
import { quoted } from "./text.js";

/** What a release is made of: a finished build, or an image that exists. */
export interface ReleaseSource
  extends
    Pick<Release, "image" | "buildId" | "note">,
    Pick<Build, "template" | "command" | "requires" | "manifest"> {}

/**
 * Finds what the request names, at most once: a tag that moves meanwhile changes nothing. Throws `DINP_INVALID` unless it
 * names either a build or an image.
 */
export function sourceOf(
  context: PlatformContext,
  name: string,
  request: ReleaseRequest,
  options: ReadOptions,
): () => Promise<ReleaseSource> {
  const { buildId, image } = request;
  if (buildId !== undefined && image === undefined)
    return () => finishedBuild(context, name, buildId, options);
  if (image !== undefined && buildId === undefined) {
    let found: Promise<ReleaseSource> | null = null;
    const wanted = { app: name, reference: image, command: request.command };
    return () => (found ??= imageSource(context, wanted, options));
  }
  throw new DinpError("DINP_INVALID", "A release is made of either a build (buildId) or an image.", {
    details: { field: "buildId" },
  });
}

async function finishedBuild(
  context: PlatformContext,
  name: string,
  buildId: string,
  options: ReadOptions,
): Promise<ReleaseSource> {
  const stored = isKey(buildId) ? await context.store.get("build", buildId, withSignal(options)) : null;
  const build = stored?.value;
  if (build?.appName !== name) {
    throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(name)} has no build ${quoted(buildId)}.`, {
      hint: "Upload the code first; the answer names the build.",
      details: { field: "buildId" },
    });
  }
  const { template, command, requires, manifest, image } = build;
  if (build.state === "succeeded" && image !== null) {
    const built = { image, buildId, note: "push", template, command, requires, manifest };
    return isByDockerfile(context, template) ? fittedToNodes(context, name, built, options) : built;
  }
  const why = build.state === "running" ? "has not ended yet" : `failed: ${build.error ?? "no reason given"}`;
  throw new DinpError("DINP_INVALID", `The build ${quoted(buildId)} ${why}.`, {
    details: { field: "buildId" },
  });
}

/** On nodes that run plain processes an image by Dockerfile is what any other image is: its `/app`, variables and working folder. */
async function fittedToNodes(
  context: PlatformContext,
  name: string,
  built: ReleaseSource,
  options: ReadOptions,
): Promise<ReleaseSource> {
  if (!(await areNodesPlain(context, options))) return built;
  const { repository, digest } = built.image;
  const wanted = { app: name, reference: `${repository}@${digest}`, command: built.command };
  const { command, requires, manifest } = await imageSource(context, wanted, options);
  const env = { ...manifest?.env, ...built.manifest?.env };
  return { ...built, command, requires, manifest: { ...built.manifest, env } };
}

/** True for text that can be a record's key. */
export function isKey(text: string): boolean {
  return /^[\x20-\x7e]{1,255}$/.test(text);
}
