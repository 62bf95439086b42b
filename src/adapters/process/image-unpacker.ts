import { constants } from "node:fs";
import { chmod, link, mkdir, open, rm, symlink } from "node:fs/promises";
import { join, posix } from "node:path";
import {
  DinpError,
  layerFormat,
  limits,
  readImage as readCoreImage,
  type Archive,
  type ArchiveEntry,
  type ByteStream,
  type Descriptor,
  type ImageRef,
  type Registry,
} from "@dinp/core";
import type { UnpackImage } from "./image-store.js";

export interface ImageUnpackerOptions {
  readonly registry: Registry;
  readonly archive: Archive;
  /** Finds an image's layers, lowest first. Default: core's `readImage`. */
  readonly readImage?: (
    registry: Registry,
    image: ImageRef,
    options: { readonly signal: AbortSignal },
  ) => Promise<{ readonly layers: readonly Descriptor[] }>;
}

/**
 * Makes the function that unpacks images for the process runtime: only what a layer has below `app/`, later layers over earlier
 * ones (OCI image-spec 1.1, layer.md, with its whiteouts). Nothing is ever written through a link, links that lead out of `app/`
 * and special files are refused (`DINP_ARCHIVE_REFUSED`), owners and modes are the platform's, and each layer is read to its end
 * so that the registry can check its digest.
 */
export function createImageUnpacker(options: ImageUnpackerOptions): UnpackImage {
  const { registry, archive, readImage = readCoreImage } = options;
  return async (image, targetDir, signal) => {
    const { layers } = await readImage(registry, image, { signal });
    const tree = new AppTree(targetDir);
    let entriesLeft = limits.imageFilesMax;
    for (const layer of layers) {
      const format = layerFormat(layer.mediaType);
      if (format === null)
        throw invalidImage(image, `has a layer of type ${JSON.stringify(layer.mediaType)}`);
      const blob = new WholeBlob(registry.readBlob(image.repository, layer.digest, { signal }));
      const bounds = { maxBytes: limits.imageBytesMax, maxEntries: entriesLeft, signal };
      try {
        for await (const entry of archive.read(blob.bytes(), { format, ...bounds })) {
          entriesLeft -= 1;
          await tree.apply(entry);
        }
        await blob.drain();
      } finally {
        await blob.close();
      }
    }
    await tree.ensureRoot();
  };
}

/** A stream that its reader may leave early and that can still be read to its end. */
class WholeBlob {
  readonly #source: AsyncIterator<Uint8Array>;

  constructor(stream: ByteStream) {
    this.#source = stream[Symbol.asyncIterator]();
  }

  bytes(): ByteStream {
    return { [Symbol.asyncIterator]: () => ({ next: () => this.#source.next() }) };
  }

  async drain(): Promise<void> {
    while ((await this.#source.next()).done !== true);
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}

type NodeType = "directory" | "file" | "link";

/** The files below `app/` as they are put together; it knows what is where, so that nothing needs to be followed to find out. */
class AppTree {
  readonly #targetDir: string;
  readonly #nodes = new Map<string, NodeType>();

  constructor(targetDir: string) {
    this.#targetDir = targetDir;
  }

  async ensureRoot(): Promise<void> {
    await this.#ensureDirectory("app");
  }

  async apply(entry: ArchiveEntry): Promise<void> {
    const path = appPath(entry.path);
    if (path === null) return;
    const parent = posix.dirname(path);
    const name = posix.basename(path);
    if (name === ".wh..wh..opq") return this.#removeBelow(parent);
    if (name.startsWith(".wh.")) return this.#remove(posix.join(parent, name.slice(4)));
    if (path === "app" && entry.type !== "directory")
      throw refused(entry, "puts something else in place of the app's folder");
    if (entry.type === "directory") return this.#ensureDirectory(path);
    await this.#ensureDirectory(parent);
    switch (entry.type) {
      case "file":
        await this.#remove(path);
        await this.#writeFile(path, entry);
        break;
      case "symlink":
        await this.#remove(path);
        await symlink(innerTarget(entry, path), this.#at(path));
        this.#nodes.set(path, "link");
        break;
      case "hardlink":
        await this.#hardlink(path, entry);
        break;
      case "other":
        throw refused(entry, "is a device, pipe or another special file");
    }
  }

  async #writeFile(path: string, entry: ArchiveEntry): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(this.#at(path), flags, 0o600);
    try {
      for await (const bytes of entry.content) await file.writeFile(bytes);
      // Not left to the umask.
      await file.chmod((entry.mode & 0o111) === 0 ? 0o644 : 0o755);
    } finally {
      await file.close();
    }
    this.#nodes.set(path, "file");
  }

  async #hardlink(path: string, entry: ArchiveEntry): Promise<void> {
    const target = appPath(entry.linkTarget ?? "");
    if (target === null || this.#nodes.get(target) !== "file")
      throw refused(entry, "links to no file of the app");
    if (target === path) return;
    await this.#remove(path);
    await link(this.#at(target), this.#at(path));
    this.#nodes.set(path, "file");
  }

  /** Every folder on the way is one that this unpack made: a link on the way is refused, never followed. */
  async #ensureDirectory(path: string): Promise<void> {
    const known = this.#nodes.get(path);
    if (known === "directory") return;
    if (path !== "app") await this.#ensureDirectory(posix.dirname(path));
    if (known === "link")
      throw new DinpError(
        "DINP_ARCHIVE_REFUSED",
        `The image writes through the link ${JSON.stringify(path)}.`,
      );
    if (known === "file") await this.#remove(path);
    const dir = this.#at(path);
    await mkdir(dir, { mode: 0o755 });
    await chmod(dir, 0o755);
    this.#nodes.set(path, "directory");
  }

  async #remove(path: string): Promise<void> {
    const known = this.#nodes.get(path);
    if (known === undefined) return;
    if (known === "directory") await this.#removeBelow(path);
    await rm(this.#at(path), { recursive: known === "directory", force: true });
    this.#nodes.delete(path);
  }

  async #removeBelow(path: string): Promise<void> {
    for (const [inner, type] of [...this.#nodes]) {
      if (!inner.startsWith(`${path}/`)) continue;
      this.#nodes.delete(inner);
      if (posix.dirname(inner) === path)
        await rm(this.#at(inner), { recursive: type === "directory", force: true });
    }
  }

  #at(path: string): string {
    return join(this.#targetDir, path);
  }
}

/** The path of an entry in its plain form if it is below `app`, else null. */
function appPath(path: string): string | null {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts[0] !== "app") return null;
  if (parts.includes("..") || path.includes("\0"))
    throw new DinpError(
      "DINP_ARCHIVE_REFUSED",
      `The image has an entry with the path ${JSON.stringify(path)}.`,
    );
  return parts.join("/");
}

/** A link's target if it stays in the app's folder; absolute ones (`/app/x`) become relative, since the folder lies elsewhere here. */
function innerTarget(entry: ArchiveEntry, path: string): string {
  const target = entry.linkTarget ?? "";
  const parent = posix.dirname(path);
  const resolved = target.startsWith("/") ? posix.normalize(target).slice(1) : posix.join(parent, target);
  if (target === "" || target.includes("\0") || (resolved !== "app" && !resolved.startsWith("app/")))
    throw refused(entry, `links to ${JSON.stringify(target)}, outside of the app's folder`);
  return target.startsWith("/") ? posix.relative(parent, resolved) || "." : target;
}

function refused(entry: ArchiveEntry, what: string): DinpError {
  return new DinpError("DINP_ARCHIVE_REFUSED", `The image's entry ${JSON.stringify(entry.path)} ${what}.`);
}

function invalidImage(image: ImageRef, what: string): DinpError {
  return new DinpError("DINP_INVALID", `Image ${image.repository}@${image.digest} ${what}.`, {
    hint: "Push the app again; images are made of OCI tar layers, plain or gzip.",
  });
}
