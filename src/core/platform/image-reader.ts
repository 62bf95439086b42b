import { mediaTypes, type ImagePlatform } from "../build/image-plan.js";
import { DinpError } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import type { ArchiveFormat } from "../ports/archive.js";
import type { Descriptor, Manifest, Registry } from "../ports/registry.js";
import { descriptorOf, isObject } from "./image-json.js";

/** What an image is made of and how it starts. */
export interface ImageDescription {
  readonly manifest: Pick<Manifest, "mediaType" | "bytes">;
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
  /** Of the uncompressed layers, in their order. */
  readonly diffIds: readonly string[];
  /** What it runs on; empty text where the image does not say. */
  readonly platform: ImagePlatform;
  /** A user (and group) of the image; empty when it names none. */
  readonly user: string;
  /** Entry point and arguments; empty when the image names none. */
  readonly command: readonly string[];
  /** Absolute, in the image; `/` when the image names none. */
  readonly workingDir: string;
  /** `NAME=value` each. */
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

const layerFormats: ReadonlyMap<string, ArchiveFormat> = new Map([
  [mediaTypes.layerTar, "tar"],
  [mediaTypes.layerTarGzip, "tar.gz"],
  ["application/vnd.docker.image.rootfs.diff.tar", "tar"],
  ["application/vnd.docker.image.rootfs.diff.tar.gzip", "tar.gz"],
]);

/** The archive format of a layer's media type, or null for one that is not read here (`zstd`, encrypted). */
export function layerFormat(mediaType: string): ArchiveFormat | null {
  return layerFormats.get(mediaType) ?? null;
}

/**
 * Reads an image's manifest and configuration (image-spec 1.1, manifest.md and config.md; Docker's version 2 as well).
 * Errors: the registry's, `DINP_INVALID` for an image index (the hint names the images in it), and `DINP_CORRUPT` when they
 * are not what they should be.
 */
export async function readImage(
  registry: Registry,
  image: ImageRef,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ImageDescription> {
  const stored = await registry.readManifest(image.repository, image.digest, options);
  return describeManifest(registry, image, stored, options);
}

/** As {@link readImage}, of a manifest that need not be in the registry yet: its blobs are. */
export async function describeManifest(
  registry: Registry,
  image: ImageRef,
  stored: Pick<Manifest, "mediaType" | "bytes">,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ImageDescription> {
  const manifest = parseObject(stored.bytes, image, "manifest");
  if (Array.isArray(manifest["manifests"])) throw anIndex(image, manifest["manifests"]);
  const config = descriptorOf(manifest["config"]);
  const layers = Array.isArray(manifest["layers"]) ? manifest["layers"].map(descriptorOf) : [];
  if (config === null || config.size > CONFIG_BYTES_MAX || layers.length === 0 || layers.includes(null)) {
    throw corrupt(image, "its manifest does not describe an image");
  }
  const configBytes = await readSmallBlob(registry, image, config, options);
  const { config: run, rootfs, architecture, os } = parseObject(configBytes, image, "configuration");
  const settings = isObject(run) ? run : {};
  const workingDir = settings["WorkingDir"];
  return {
    manifest: stored,
    config,
    layers: layers.filter((layer) => layer !== null),
    diffIds: isObject(rootfs) ? texts(rootfs["diff_ids"]) : [],
    platform: { architecture: textOf(architecture), os: textOf(os) },
    user: textOf(settings["User"]),
    command: [...texts(settings["Entrypoint"]), ...texts(settings["Cmd"])],
    workingDir: typeof workingDir === "string" && workingDir !== "" ? workingDir : "/",
    env: texts(settings["Env"]),
    labels: textMap(settings["Labels"]),
  };
}

/** All that an image's configuration says. Errors as {@link readImage}'s. */
export async function readImageJson(
  registry: Registry,
  image: ImageRef,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Readonly<Record<string, unknown>>> {
  const { config } = await readImage(registry, image, options);
  return parseObject(await readSmallBlob(registry, image, config, options), image, "configuration");
}

async function readSmallBlob(
  registry: Registry,
  image: ImageRef,
  { digest, size }: Descriptor,
  options: { readonly signal?: AbortSignal },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for await (const chunk of registry.readBlob(image.repository, digest, options)) {
    if (offset + chunk.length > size) throw corrupt(image, "its configuration is larger than it says");
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes.subarray(0, offset);
}

function parseObject(bytes: Uint8Array, image: ImageRef, what: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (isObject(value)) return value;
  } catch (cause) {
    throw corrupt(image, `its ${what} is not JSON`, cause);
  }
  throw corrupt(image, `its ${what} is not a JSON object`);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  const entries = isObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

const SHOWN_MAX = 10;

/** An index stands for several images, one for each kind of machine: which one is meant, only the user can say. */
function anIndex(image: ImageRef, manifests: readonly unknown[]): DinpError {
  const known = manifests.flatMap((each) => {
    const of = descriptorOf(each);
    const platform = isObject(each) && isObject(each["platform"]) ? each["platform"] : {};
    const kind = `${textOf(platform["os"])}/${textOf(platform["architecture"])}`;
    return of === null ? [] : [`${kind} is ${image.repository}@${of.digest}`];
  });
  return new DinpError(
    "DINP_INVALID",
    `${image.repository}@${image.digest} is an image index, not one image.`,
    {
      hint: `Name one of its images: ${known.slice(0, SHOWN_MAX).join("; ")}.`,
      details: { field: "image" },
    },
  );
}

function corrupt(image: ImageRef, why: string, cause?: unknown): DinpError {
  return new DinpError(
    "DINP_CORRUPT",
    `The image ${image.repository}@${image.digest} cannot be used: ${why}.`,
    {
      cause,
      hint: "Push the app again.",
    },
  );
}
