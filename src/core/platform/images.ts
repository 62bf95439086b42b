import type { ImagePlatform } from "../build/image-plan.js";
import { limits } from "../model/defaults.js";
import { DinpError } from "../model/errors.js";
import { parseImageReference } from "../model/image-names.js";
import type { ImageRef } from "../model/records.js";
import type { Archive } from "../ports/archive.js";
import type { ByteStream, Descriptor, Registry } from "../ports/registry.js";
import { withSignal } from "./app-records.js";
import type { ReadOptions } from "./context.js";
import { checkLayer, storeImageArchive, type ImportedImage } from "./image-archive.js";
import { describeManifest, layerFormat, readImage, type ImageDescription } from "./image-reader.js";
import { resolvePlatform } from "./resolve-platform.js";
import { quoted } from "./text.js";

export interface ImagesOptions {
  readonly registry: Registry;
  readonly archive: Archive;
  /** What the nodes run. Default linux/amd64. */
  readonly platform?: ImagePlatform;
}

/** What an image has below `/app`. */
export interface AppContent {
  readonly hasFiles: boolean;
  /** Whether the path that was asked for is a file (or link) there; true when none was. */
  readonly hasPath: boolean;
}

/** The images that are in the registry already, whoever put them there. */
export interface Images {
  /**
   * The image that a reference (see `parseImageReference`) names now. `DINP_INVALID`, `DINP_IMAGE_NOT_FOUND`, and the
   * registry's.
   */
  find(reference: string, options?: ReadOptions): Promise<ImageRef>;
  /** The image that the nodes run: this one, or the one for them in the index that it is. Errors as `resolvePlatform`'s. */
  forNodes(image: ImageRef, options?: ReadOptions): Promise<ImageRef>;
  /**
   * What the image says of itself. Errors as `readImage`'s, and `DINP_INVALID` for one that the nodes cannot run: of
   * another operating system or processor, or with layers in a format that is not read here.
   */
  describe(image: ImageRef, options?: ReadOptions): Promise<ImageDescription>;
  /** Looks into the layers, from the uppermost down and no further than needed. `path` is absolute, below `/app`. */
  appContent(
    image: ImageRef,
    layers: readonly Descriptor[],
    path: string | null,
    options?: ReadOptions,
  ): Promise<AppContent>;
  /** Makes the image one of another repository too, without copying its layers; it has the same digest there. */
  adopt(
    image: ImageRef,
    description: ImageDescription,
    repository: string,
    options?: ReadOptions,
  ): Promise<ImageRef>;
  /**
   * Copies the image of another registry into a repository, where it has the same digest. Parts that are there are not sent
   * again; its manifest comes last, so that all of it is there or nothing is seen of it.
   */
  copy(
    from: Registry,
    image: ImageRef,
    description: ImageDescription,
    repository: string,
    options?: ReadOptions,
  ): Promise<ImageRef>;
  /**
   * Stores the image of a tar (see `storeImageArchive`), each layer of it read and checked. Its manifest is there only when
   * all of it is good.
   */
  importArchive(repository: string, bytes: ByteStream, options?: ReadOptions): Promise<ImportedImage>;
  /** The images of another registry, which is called `name` in errors, for the same nodes. */
  of(registry: Registry, name: string): Images;
  /** The digests that a repository's tags point to. */
  tagged(repository: string, options?: ReadOptions): Promise<ReadonlySet<string>>;
  /** Deletes the image from its repository; the same one in others stays. Idempotent. */
  discard(image: ImageRef, options?: ReadOptions): Promise<void>;
}

/** {@link Images} of a registry. */
export function createImages(options: ImagesOptions): Images {
  return new RegistryImages(options);
}

class RegistryImages implements Images {
  readonly #registry: Registry;
  readonly #archive: Archive;
  readonly #platform: ImagePlatform;
  readonly #name: string;

  constructor(
    { registry, archive, platform = { architecture: "amd64", os: "linux" } }: ImagesOptions,
    name = "the platform's registry",
  ) {
    this.#name = name;
    this.#registry = registry;
    this.#archive = archive;
    this.#platform = platform;
  }

  of(registry: Registry, name: string): Images {
    return new RegistryImages({ registry, archive: this.#archive, platform: this.#platform }, name);
  }

  async forNodes(image: ImageRef, options: ReadOptions = {}): Promise<ImageRef> {
    return resolvePlatform(this.#registry, image, this.#platform, withSignal(options));
  }

  async find(text: string, options: ReadOptions = {}): Promise<ImageRef> {
    const reference = parseImageReference(text);
    const { repository } = reference;
    if ("digest" in reference) {
      await this.#registry.readManifest(repository, reference.digest, withSignal(options));
      return reference;
    }
    const digest = await this.#registry.resolve(repository, reference.tag, withSignal(options));
    if (digest !== null) return { repository, digest };
    const tags = (await this.#registry.list(repository, withSignal(options))).map(({ tag }) => tag);
    throw new DinpError("DINP_IMAGE_NOT_FOUND", `There is no image ${quoted(text)} in ${this.#name}.`, {
      hint:
        tags.length === 0
          ? `The repository ${repository} has no tags there.`
          : `Tags of ${repository}: ${tags.slice(-20).join(", ")}.`,
      details: { field: "image" },
    });
  }

  async describe(image: ImageRef, options: ReadOptions = {}): Promise<ImageDescription> {
    return this.#fitting(image, await readImage(this.#registry, image, withSignal(options)));
  }

  #fitting(image: ImageRef, description: ImageDescription): ImageDescription {
    const { layers, platform } = description;
    const odd = layers.find(({ mediaType }) => layerFormat(mediaType) === null);
    if (odd !== undefined) {
      throw refused(
        image,
        `has a layer of type ${quoted(odd.mediaType)}`,
        "Make it with plain or gzip tar layers.",
      );
    }
    const wanted = this.#platform;
    const fits = (own: string, other: string): boolean => own === "" || own === other;
    if (fits(platform.os, wanted.os) && fits(platform.architecture, wanted.architecture)) return description;
    const made = `${platform.os}/${platform.architecture}`;
    throw refused(
      image,
      `is for ${made.slice(0, 80)}; the nodes are ${wanted.os}/${wanted.architecture}`,
      "Make it for the nodes' kind of machine.",
    );
  }

  async appContent(
    image: ImageRef,
    layers: readonly Descriptor[],
    path: string | null,
    options: ReadOptions = {},
  ): Promise<AppContent> {
    const search = new AppSearch(path);
    for (const layer of [...layers].reverse()) {
      const format = layerFormat(layer.mediaType) ?? "tar";
      const bounds = { maxBytes: limits.imageBytesMax, maxEntries: limits.imageFilesMax };
      const bytes = this.#registry.readBlob(image.repository, layer.digest, withSignal(options));
      const hidden = search.startLayer();
      for await (const entry of this.#archive.read(bytes, { format, ...bounds, ...withSignal(options) })) {
        search.see(entry.path, entry.type === "directory", hidden);
        if (search.isOver) return search.result;
      }
    }
    return search.result;
  }

  async importArchive(
    repository: string,
    bytes: ByteStream,
    options: ReadOptions = {},
  ): Promise<ImportedImage> {
    const signal = withSignal(options);
    const parts = { registry: this.#registry, archive: this.#archive, platform: this.#platform };
    const { manifest, kind } = await storeImageArchive(parts, repository, bytes, signal);
    const place = { repository, digest: "" };
    const { layers, diffIds } = this.#fitting(
      place,
      await describeManifest(this.#registry, place, manifest, signal),
    );
    if (diffIds.length !== layers.length)
      throw refused(place, "names another number of layers in its configuration", "Make it anew.");
    for (const [position, { mediaType, digest }] of layers.entries()) {
      const format = layerFormat(mediaType) ?? "tar";
      if (format === "tar" && diffIds[position] !== digest)
        throw refused(
          place,
          `has the layer ${digest}, which its configuration does not name`,
          "Make it anew.",
        );
      if (kind === "root file system") continue;
      await checkLayer(this.#archive, this.#registry.readBlob(repository, digest, signal), format, signal);
    }
    const { digest } = await this.#registry.writeManifest(repository, manifest, signal);
    return { image: { repository, digest }, kind };
  }

  async copy(
    from: Registry,
    image: ImageRef,
    { manifest, config, layers }: ImageDescription,
    repository: string,
    options: ReadOptions = {},
  ): Promise<ImageRef> {
    const signal = withSignal(options);
    assertCopyable(image, [...layers, config]);
    for (const { digest, size } of new Map([...layers, config].map((part) => [part.digest, part])).values()) {
      if (await this.#registry.hasBlob(repository, digest, signal)) continue;
      const bytes = (): ByteStream => ofSize(from.readBlob(image.repository, digest, signal), image, size);
      await this.#registry.writeBlob(repository, bytes, { expected: digest, ...signal });
    }
    const { mediaType, bytes } = manifest;
    const { digest } = await this.#registry.writeManifest(repository, { mediaType, bytes }, signal);
    if (digest === image.digest) return { repository, digest };
    throw new DinpError("DINP_DIGEST_MISMATCH", `The image ${nameOf(image)} was stored as ${digest}.`, {
      details: { expected: image.digest, actual: digest },
    });
  }

  async tagged(repository: string, options: ReadOptions = {}): Promise<ReadonlySet<string>> {
    return new Set((await this.#registry.list(repository, withSignal(options))).map(({ digest }) => digest));
  }

  async discard({ repository, digest }: ImageRef, options: ReadOptions = {}): Promise<void> {
    await this.#registry.delete(repository, digest, withSignal(options));
  }

  async adopt(
    image: ImageRef,
    { manifest, config, layers }: ImageDescription,
    repository: string,
    options: ReadOptions = {},
  ): Promise<ImageRef> {
    if (image.repository === repository) return image;
    for (const { digest } of [...layers, config]) {
      if (await this.#registry.mountBlob(repository, digest, image.repository, withSignal(options))) continue;
      throw new DinpError("DINP_IMAGE_NOT_FOUND", `The image ${nameOf(image)} has lost its part ${digest}.`, {
        hint: "Build it again.",
        details: { field: "image" },
      });
    }
    const { mediaType, bytes } = manifest;
    const { digest } = await this.#registry.writeManifest(
      repository,
      { mediaType, bytes },
      withSignal(options),
    );
    return { repository, digest };
  }
}

/** Looks for files below `/app` through layers from the uppermost down, minding whiteouts (image-spec 1.1, layer.md). */
class AppSearch {
  readonly #path: string | null;
  readonly #hidden = new Set<string>();
  #found: AppContent;

  constructor(path: string | null) {
    this.#path = path === null ? null : plain(path);
    this.#found = { hasFiles: false, hasPath: path === null };
  }

  get result(): AppContent {
    return this.#found;
  }

  get isOver(): boolean {
    return this.#found.hasFiles && this.#found.hasPath;
  }

  /** What the layers above hide from the one that comes now. */
  startLayer(): ReadonlySet<string> {
    return new Set(this.#hidden);
  }

  see(entryPath: string, isDirectory: boolean, hidden: ReadonlySet<string>): void {
    const path = plain(entryPath);
    const name = path.slice(path.lastIndexOf("/") + 1);
    const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (name === ".wh..wh..opq") this.#hidden.add(parent);
    else if (name.startsWith(".wh.")) this.#hidden.add(plain(`${parent}/${name.slice(4)}`));
    else if (!isDirectory && path.startsWith("app/") && !isBelow(path, hidden)) {
      const { hasPath } = this.#found;
      this.#found = { hasFiles: true, hasPath: hasPath || path === this.#path };
    }
  }
}

function isBelow(path: string, folders: ReadonlySet<string>): boolean {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf("/")))) {
    if (folders.has(at)) return true;
  }
  return folders.has("");
}

function plain(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/** `DINP_TOO_LARGE` for an image that takes more than one may. */
function assertCopyable(image: ImageRef, parts: readonly Descriptor[]): void {
  const bytes = parts.reduce((sum, { size }) => sum + size, 0);
  if (bytes <= limits.imageBytesMax) return;
  throw new DinpError("DINP_TOO_LARGE", `The image ${nameOf(image)} has ${String(bytes)} bytes.`, {
    hint: `An image has at most ${String(limits.imageBytesMax)} bytes.`,
  });
}

/** A part's bytes; `DINP_CORRUPT` as soon as there are more than its image says. */
async function* ofSize(
  bytes: ByteStream,
  image: ImageRef,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = size;
  for await (const chunk of bytes) {
    left -= chunk.length;
    if (left < 0) {
      throw new DinpError("DINP_CORRUPT", `A part of the image ${nameOf(image)} is larger than it says.`, {
        hint: "Push it again to the registry that it comes from.",
      });
    }
    yield chunk;
  }
}

/** An image as it is named in a message. */
export function nameOf({ repository, digest }: ImageRef): string {
  return digest === "" ? repository : `${repository}@${digest.slice(0, 19)}`;
}

function refused(image: ImageRef, what: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", `The image ${nameOf(image)} ${what}.`, {
    hint,
    details: { field: "image" },
  });
}

/** For a platform that was composed without a way to its images. */
export const noImages: Images = Object.freeze({
  find: unavailable,
  describe: unavailable,
  appContent: unavailable,
  adopt: unavailable,
  copy: unavailable,
  forNodes: unavailable,
  of: () => noImages,
  importArchive: unavailable,
  tagged: unavailable,
  discard: unavailable,
});

function unavailable(): Promise<never> {
  const message = "This platform was put together without access to images that exist.";
  return Promise.reject(new DinpError("DINP_UNAVAILABLE", message, { hint: "Push the code instead." }));
}
