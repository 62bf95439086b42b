import { mediaTypes, type ImagePlatform } from "../build/image-plan.js";
import { DinpError } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import { limits } from "../model/defaults.js";
import type { Archive, ArchiveEntry, ArchiveFormat } from "../ports/archive.js";
import type { ByteStream, Descriptor, Manifest, Registry } from "../ports/registry.js";
import { once } from "./app-layer.js";
import { chooseFromIndex } from "./image-index.js";
import { collectText, isObject, parseJsonObject } from "./image-json.js";
import { peekStream } from "./peek-stream.js";
import { printable, quoted } from "./text.js";

/** What an uploaded tar turned out to be. */
export type ImageArchiveKind = "OCI archive" | "docker-save archive" | "root file system";

export interface ImportedImage {
  readonly image: ImageRef;
  readonly kind: ImageArchiveKind;
}

/** An image whose blobs are in the registry, and whose manifest is not there yet. */
export interface StoredImage {
  readonly manifest: Pick<Manifest, "mediaType" | "bytes">;
  readonly kind: ImageArchiveKind;
}

export interface ImportParts {
  readonly registry: Registry;
  readonly archive: Archive;
  readonly platform: ImagePlatform;
}

type Options = { readonly signal?: AbortSignal };

const HEAD_BYTES = 1024 * 1024;
const JSON_BYTES_MAX = 4 * 1024 * 1024;
/** Of an image archive: layers, a configuration and small files for each. */
const ENTRIES_MAX = 10_000;
/** Names at the root of an OCI image layout and of what `docker save` writes; a root file system has none of them first. */
const OF_AN_IMAGE =
  /^(?:blobs(?:\/.*)?|oci-layout|index\.json|manifest\.json|repositories|[0-9a-f]{64}(?:\.json|\.tar|\/.*)?)$/;
const EPOCH = "1970-01-01T00:00:00Z";

/**
 * Stores the blobs of the image in a tar: an OCI image layout (image-spec 1.1, image-layout.md), what `docker save` writes (both of its
 * forms), or a root file system as one layer (`docker import`). Every digest that it names is checked against the bytes.
 * `DINP_ARCHIVE_REFUSED` (damaged, or not one image), `DINP_DIGEST_MISMATCH`, `DINP_IMAGE_NOT_FOUND` (it names what is not
 * there).
 */
export async function storeImageArchive(
  parts: ImportParts,
  repository: string,
  bytes: ByteStream,
  options: Options,
): Promise<StoredImage> {
  const upload = await peekStream(bytes, HEAD_BYTES);
  if (upload.head[0] === 0x1f && upload.head[1] === 0x8b) {
    throw refused(
      "The upload is compressed with gzip.",
      "Send a plain tar (gunzip it first; the CLI does that by itself).",
    );
  }
  const first = await firstPath(parts.archive, upload.head);
  if (!OF_AN_IMAGE.test(first)) {
    return {
      manifest: await importRootFileSystem(parts, repository, upload.bytes, options),
      kind: "root file system",
    };
  }
  const files = await storeFiles(parts, repository, upload.bytes, options);
  const index = files.texts.get("index.json");
  const list = files.texts.get("manifest.json");
  if (index !== undefined) {
    const manifest = await fromIndex(parts, repository, index, options);
    return { manifest, kind: list === undefined ? "OCI archive" : "docker-save archive" };
  }
  if (list !== undefined)
    return {
      manifest: await fromDockerList(parts, repository, list, files, options),
      kind: "docker-save archive",
    };
  throw refused(
    "The archive has neither index.json nor manifest.json.",
    'Make it with "docker save" or as an OCI image layout.',
  );
}

/** The first path that says something. */
async function firstPath(archive: Archive, head: Uint8Array): Promise<string> {
  const bounds = { format: "tar", maxBytes: limits.imageBytesMax, maxEntries: ENTRIES_MAX } as const;
  for await (const { path } of archive.read(once(head), bounds)) {
    const name = plain(path);
    if (name !== "") return name;
  }
  throw refused("The archive is empty.");
}

/** What an image archive has, by the paths that its own JSON names them by. */
interface StoredFiles {
  readonly blobs: ReadonlyMap<string, Descriptor>;
  readonly links: ReadonlyMap<string, string>;
  readonly texts: ReadonlyMap<string, string>;
}

async function storeFiles(
  { registry, archive }: ImportParts,
  repository: string,
  bytes: ByteStream,
  options: Options,
): Promise<StoredFiles> {
  const blobs = new Map<string, Descriptor>();
  const links = new Map<string, string>();
  const texts = new Map<string, string>();
  const bounds = { format: "tar", maxBytes: limits.imageBytesMax, maxEntries: ENTRIES_MAX } as const;
  for await (const entry of archive.read(bytes, { ...bounds, ...options })) {
    const path = plain(entry.path);
    if (entry.type === "symlink" || entry.type === "hardlink") links.set(path, linkTarget(path, entry));
    if (entry.type !== "file") continue;
    if (path === "index.json" || path === "manifest.json") {
      texts.set(path, await collectText(entry.content, JSON_BYTES_MAX, path));
      continue;
    }
    const digest = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(path)?.[1];
    if (digest === undefined && !/^[0-9a-f]{64}(?:\.tar|\/layer\.tar)$/.test(path)) continue;
    const expected = digest === undefined ? {} : { expected: `sha256:${digest}` };
    const blob = await registry.writeBlob(repository, entry.content, { ...expected, ...options });
    blobs.set(path, { mediaType: mediaTypes.layerTar, ...blob });
  }
  return { blobs, links, texts };
}

/** Older versions write a layer once, and links to it. */
function linkTarget(path: string, { type, linkTarget: target }: ArchiveEntry): string {
  const folder = type === "symlink" ? path.split("/").slice(0, -1) : [];
  for (const part of (target ?? "").split("/")) {
    if (part === "..") folder.pop();
    else if (part !== "" && part !== ".") folder.push(part);
  }
  return folder.join("/");
}

async function fromIndex(
  { registry, platform }: ImportParts,
  repository: string,
  index: string,
  options: Options,
): Promise<StoredImage["manifest"]> {
  const readBlob = async ({ digest, size }: Descriptor): Promise<string> => {
    if (size > JSON_BYTES_MAX) throw refused(`The archive's manifest ${digest} is too large.`);
    return collectText(registry.readBlob(repository, digest, options), JSON_BYTES_MAX, digest);
  };
  const chosen = await chooseFromIndex(index, platform, readBlob);
  return { mediaType: chosen.mediaType, bytes: new TextEncoder().encode(await readBlob(chosen)) };
}

/** `manifest.json` of `docker save` before version 25: it names files, and there is no manifest. */
async function fromDockerList(
  parts: ImportParts,
  repository: string,
  list: string,
  files: StoredFiles,
  options: Options,
): Promise<StoredImage["manifest"]> {
  const { Config, Layers } = onlyImage(parseJsonObject(`{"list":${list}}`, "manifest.json")["list"]);
  if (typeof Config !== "string" || !Array.isArray(Layers) || Layers.length === 0) {
    throw refused("The archive's manifest.json does not name a configuration and layers.");
  }
  const at = (path: unknown): Descriptor => {
    const name = typeof path === "string" ? plain(path) : "";
    const found = files.blobs.get(name) ?? files.blobs.get(files.links.get(name) ?? "");
    if (found !== undefined) return found;
    throw refused(`The archive lacks ${quoted(name)}, which its manifest.json names.`);
  };
  const layers = Layers.map(at);
  const config = { ...at(Config), mediaType: mediaTypes.config };
  const text = await collectText(
    parts.registry.readBlob(repository, config.digest, options),
    JSON_BYTES_MAX,
    Config,
  );
  const { rootfs } = parseJsonObject(text, "configuration");
  const diffIds = isObject(rootfs) && Array.isArray(rootfs["diff_ids"]) ? rootfs["diff_ids"] : [];
  for (const [position, { digest }] of layers.entries()) {
    if (diffIds.length === layers.length && diffIds[position] === digest) continue;
    throw refused(`Layer ${String(position + 1)} of the image is not the one that its configuration names.`);
  }
  return manifestOf(config, layers);
}

function onlyImage(list: unknown): Readonly<Record<string, unknown>> {
  const images = Array.isArray(list) ? list.filter(isObject) : [];
  const [only] = images;
  const configs = new Set(images.map((image) => image["Config"]));
  if (only !== undefined && configs.size === 1) return only;
  throw refused(
    `The archive holds ${String(configs.size)} images.`,
    "Save one of them: docker save -o image.tar NAME:TAG",
  );
}

async function importRootFileSystem(
  { registry, archive, platform }: ImportParts,
  repository: string,
  bytes: ByteStream,
  options: Options,
): Promise<StoredImage["manifest"]> {
  const layer = { mediaType: mediaTypes.layerTar, ...(await registry.writeBlob(repository, bytes, options)) };
  await checkLayer(archive, registry.readBlob(repository, layer.digest, options), "tar", options);
  const text = JSON.stringify({
    created: EPOCH,
    ...{ architecture: platform.architecture, os: platform.os, config: {} },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
    history: [{ created: EPOCH, created_by: "dinp bases add" }],
  });
  const blob = await registry.writeBlob(repository, once(new TextEncoder().encode(text)), options);
  return manifestOf({ mediaType: mediaTypes.config, ...blob }, [layer]);
}

/** Reads a layer to its end; `DINP_ARCHIVE_REFUSED` unless it is a whole tar within bounds whose entries stay inside. */
export async function checkLayer(
  archive: Archive,
  bytes: ByteStream,
  format: ArchiveFormat,
  options: Options,
): Promise<void> {
  const bounds = { format, maxBytes: limits.imageBytesMax, maxEntries: limits.imageFilesMax };
  for await (const { path } of archive.read(bytes, { ...bounds, ...options })) {
    if (!path.includes("\0") && !path.split("/").includes("..")) continue;
    throw refused(`The layer's entry ${quoted(path)} leads outside.`);
  }
}

function manifestOf(config: Descriptor, layers: readonly Descriptor[]): StoredImage["manifest"] {
  const { manifest: mediaType } = mediaTypes;
  return {
    mediaType,
    bytes: new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, config, layers })),
  };
}

function plain(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

function refused(message: string, hint?: string): DinpError {
  return new DinpError("DINP_ARCHIVE_REFUSED", printable(message), hint === undefined ? {} : { hint });
}
