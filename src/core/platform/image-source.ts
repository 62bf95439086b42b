import { appFolder } from "../build/rewrite-entry.js";
import { argumentsOf, imageLabels } from "../build/index.js";
import { isReservedEnvName } from "../model/env.js";
import { DinpError } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import type { ImageDescription } from "./image-reader.js";
import { nameOf, type Images } from "./images.js";
import { appRepository } from "./discards.js";
import { withImage, type LocatedImage } from "./located-image.js";
import { areNodesPlain, programsOf } from "./programs.js";
import type { ReleaseSource } from "./release-source.js";
import type { ReleaseRequest } from "./requests.js";
import { printable, quoted } from "./text.js";

const APP = `/${appFolder}`;
/** The template of an image that names none of ours. */
const NO_TEMPLATE = "image";
/** What an image brings for its own file system; nodes and containers have their own. */
const ENV_OF_ITS_OWN = /^(?:PATH|HOME|HOSTNAME|LD_.*)$/;
/** Programs that every node has where images have them. */
const EVERYWHERE: ReadonlySet<string> = new Set(["/bin/sh", "/usr/bin/env"]);

/** An image that exists, as a release of an app is to be made of it. */
export interface WantedImage {
  /** The app's name. */
  readonly app: string;
  readonly reference: string;
  /** Takes the place of the image's own. */
  readonly command: ReleaseRequest["command"];
}

/**
 * An image that exists as what a release is made of: its command, working folder, variables and labels are its own. It
 * becomes one of the app's own repository, so that nothing that happens to the other one matters to the release.
 * `DINP_INVALID`, `DINP_IMAGE_NOT_FOUND`, `DINP_NO_COMMAND`.
 */
export async function imageSource(
  context: PlatformContext,
  wanted: WantedImage,
  options: ReadOptions,
): Promise<ReleaseSource> {
  return withImage(context, wanted.reference, options, async (located, bounded) => {
    const source = await inspect(context, located, wanted, bounded);
    return { ...source, image: await located.bring(appRepository(wanted.app)) };
  });
}

/** As {@link imageSource}, and writes nothing: the image is the one that a release would have. */
export async function plannedImage(
  context: PlatformContext,
  wanted: WantedImage,
  options: ReadOptions,
): Promise<ReleaseSource> {
  return withImage(context, wanted.reference, options, async (located, bounded) => {
    const source = await inspect(context, located, wanted, bounded);
    return { ...source, image: { repository: appRepository(wanted.app), digest: located.image.digest } };
  });
}

async function inspect(
  context: PlatformContext,
  { images, image: found, description }: LocatedImage,
  { reference, command }: WantedImage,
  options: ReadOptions,
): Promise<Omit<ReleaseSource, "image">> {
  const { builder } = context;
  const own = command === undefined ? description.command : argumentsOf(command);
  if (own.length === 0) {
    throw new DinpError("DINP_NO_COMMAND", `The image ${nameOf(found)} does not say how to start it.`, {
      hint: "Say it with --command (it must listen on $PORT).",
    });
  }
  const isPlain = await areNodesPlain(context, options);
  if (isPlain) await assertPlain(images, found, description, own, options);
  const template = description.labels[imageLabels.template] ?? "";
  const isKnown = builder.templates.some(({ name }) => name === template);
  return {
    buildId: null,
    note: `image ${printable(reference, 300)}`,
    template: isKnown ? template : NO_TEMPLATE,
    command: startedIn(description.workingDir, own, isPlain),
    requires: programsOf(builder.templates, template, own),
    manifest: { env: envOf(description.env) },
  };
}

/** Refuses what nodes that run plain processes cannot run: they have the image's `/app` and nothing else of it. */
async function assertPlain(
  images: Images,
  image: ImageRef,
  { layers, workingDir }: ImageDescription,
  command: readonly string[],
  options: ReadOptions,
): Promise<void> {
  const [program = ""] = command;
  const path = program.includes("/") ? absolute(workingDir, program) : null;
  const inApp = path?.startsWith(`${APP}/`) === true ? path : null;
  const { hasFiles, hasPath } = await images.appContent(image, layers, inApp, options);
  if (!hasFiles) {
    throw unfit(image, `has no files in ${APP}`, `Make it with the app in ${APP}, or push the app's folder.`);
  }
  if (path !== null && inApp === null && !EVERYWHERE.has(path)) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    throw unfit(
      image,
      `starts ${quoted(path)}, which is not in ${APP}`,
      `Name a program of the nodes: --command "${printable([name, ...command.slice(1)].join(" "), 200)}".`,
    );
  }
  if (!hasPath)
    throw unfit(image, `has no file ${quoted(path ?? "")}, which its command names`, "Mend the image.");
  const outside = workingDir !== "/" && workingDir !== APP && !workingDir.startsWith(`${APP}/`);
  if (outside)
    throw unfit(image, `starts in ${quoted(workingDir)}, not in ${APP}`, `Set its WORKDIR to ${APP}.`);
  const absent = command.slice(1).find((word) => /(?:^|[\s"'=:])\/app(?:\/|$|[\s"':])/.test(word));
  if (absent === undefined) return;
  throw unfit(
    image,
    `is started with ${quoted(absent)}, but its ${APP} lies elsewhere on such nodes`,
    `Give the command relative to ${APP} with --command, such as "main.py" for "${APP}/main.py".`,
  );
}

function unfit(image: ImageRef, what: string, hint: string): DinpError {
  return new DinpError(
    "DINP_INVALID",
    `The image ${nameOf(image)} ${what}; nodes that run plain processes cannot run it.`,
    { hint, details: { field: "image" } },
  );
}

/** Releases start in `/app`: a command of another working folder goes there first. */
function startedIn(workingDir: string, command: readonly string[], isPlain: boolean): readonly string[] {
  const [program = "", ...rest] = command;
  if (workingDir === APP) return command;
  if (workingDir === "/") return program.includes("/") ? [absolute("/", program), ...rest] : command;
  const folder = isPlain ? workingDir.slice(APP.length + 1) : workingDir;
  return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', folder, ...command];
}

function absolute(folder: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${folder}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function envOf(lines: readonly string[]): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const line of lines) {
    const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=([^\0]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined || name === "__proto__") continue;
    if (!ENV_OF_ITS_OWN.test(name) && !isReservedEnvName(name)) env[name] = value;
  }
  return env;
}
