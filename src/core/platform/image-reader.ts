import { mediaTypes } from "../build/image-plan.js";
import { DinpError } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import type { ArchiveFormat } from "../ports/archive.js";
import type { Descriptor, Registry } from "../ports/registry.js";

/** What an image is made of and how it starts. */
export interface ImageDescription {
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
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
 * Errors: the registry's, and `DINP_CORRUPT` when they are not what they should be (an image index, for example).
 */
export async function readImage(
  registry: Registry,
  image: ImageRef,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ImageDescription> {
  const { repository, digest } = image;
  const { bytes } = await registry.readManifest(repository, digest, options);
  const manifest = parseObject(bytes, image, "manifest");
  const config = descriptor(manifest["config"]);
  const layers = Array.isArray(manifest["layers"]) ? manifest["layers"].map(descriptor) : [];
  if (config === null || config.size > CONFIG_BYTES_MAX || layers.length === 0 || layers.includes(null)) {
    throw corrupt(image, "its manifest does not describe an image");
  }
  const configBytes = await readSmallBlob(registry, image, config, options);
  const { config: run } = parseObject(configBytes, image, "configuration");
  const settings = isObject(run) ? run : {};
  const workingDir = settings["WorkingDir"];
  return {
    layers: layers.filter((layer) => layer !== null),
    command: [...texts(settings["Entrypoint"]), ...texts(settings["Cmd"])],
    workingDir: typeof workingDir === "string" && workingDir !== "" ? workingDir : "/",
    env: texts(settings["Env"]),
    labels: textMap(settings["Labels"]),
  };
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

function descriptor(value: unknown): Descriptor | null {
  if (!isObject(value)) return null;
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== "string" || typeof digest !== "string") return null;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return null;
  return { mediaType, digest, size };
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
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
