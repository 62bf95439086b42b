import { createHash } from "node:crypto";
import { open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import {
  abortableStream,
  assertImageTag,
  assertManifestSize,
  contentMismatch,
  contentNotFound,
  imageDigestHex,
  manifestBytesMax,
  namedBlobMissing,
  referencedDigests,
  openBytes,
  type ByteSource,
  type ByteStream,
  type Descriptor,
  type Manifest,
  type Registry,
} from "@dinp/core";
import { linkFile, makeFolder, removeLeftovers, replaceFile, TemporaryFile } from "./durable-files.js";
import { codeOf, throwIfAborted, unavailable } from "./errors.js";
import { KeyedLock } from "./keyed-lock.js";
import { formatIndex, readIndex, withManifest, type IndexEntry } from "./layout-index.js";
import { RecentBlobs } from "./recent-blobs.js";
import { repositoryFolder } from "./repository-folder.js";

const READ_BYTES = 256 * 1024;

export interface OciLayoutRegistryOptions {
  /** The registry's own folder; made at the first write. One process writes to it at a time, any number may read. */
  readonly dir: string;
}

type Options = { readonly signal?: AbortSignal } | undefined;

/** Where one repository lies. */
interface Place {
  readonly repository: string;
  readonly folder: string;
  readonly blobs: string;
  readonly index: string;
}

/**
 * Images on disk. Each repository is an OCI image layout of its own (image-spec 1.1, image-layout.md) at
 * `DIR/repositories/NAME`, with `+` for `/` in the name, which standard tools read: `oci:DIR/repositories/apps+hello:TAG`.
 * A blob that is mounted is a hard link to the same bytes.
 *
 * Every file appears whole or not at all, and is on disk before a call resolves. Deleting a manifest also removes blobs
 * of its repository that no manifest names and that nobody wrote, mounted or asked for within the last hour.
 * Errors: those of the port; `DINP_INVALID` for a name that is none, and for a manifest that is not JSON or names a blob
 * that its repository does not have; `DINP_TOO_LARGE` for a manifest over 4 MiB; `DINP_CORRUPT` for a damaged index.
 */
export class OciLayoutRegistry implements Registry {
  readonly #dir: string;
  readonly #locks = new KeyedLock();
  readonly #recent = new RecentBlobs();
  #ready: Promise<void> | null = null;

  constructor(options: OciLayoutRegistryOptions) {
    this.#dir = options.dir;
  }

  async resolve(repository: string, tag: string, options?: Options): Promise<string | null> {
    const place = this.#place(repository);
    assertImageTag(tag);
    const entries = await this.#entries(place, options?.signal);
    return entries.find((entry) => entry.tag === tag)?.digest ?? null;
  }

  async list(
    repository: string,
    options?: Options,
  ): Promise<readonly { readonly tag: string; readonly digest: string }[]> {
    const entries = await this.#entries(this.#place(repository), options?.signal);
    return entries
      .flatMap(({ tag, digest }) => (tag === null ? [] : [{ tag, digest }]))
      .sort((a, b) => (a.tag < b.tag ? -1 : 1));
  }

  async readManifest(repository: string, digest: string, options?: Options): Promise<Manifest> {
    const place = this.#place(repository);
    const path = join(place.blobs, imageDigestHex(digest));
    const entry = (await this.#entries(place, options?.signal)).find((item) => item.digest === digest);
    if (entry === undefined) throw contentNotFound("manifest", repository, digest);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.#read(place, path, digest, "manifest", options?.signal)) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > manifestBytesMax) throw contentMismatch(repository, digest, "larger than a manifest can be");
    }
    return { mediaType: entry.mediaType, digest, bytes: new Uint8Array(Buffer.concat(chunks)) };
  }

  async writeManifest(
    repository: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    options?: { readonly tag?: string; readonly signal?: AbortSignal },
  ): Promise<Descriptor> {
    const place = this.#place(repository);
    const tag = options?.tag ?? null;
    if (tag !== null) assertImageTag(tag);
    const { mediaType, bytes } = manifest;
    assertManifestSize(bytes);
    const references = referencedDigests(mediaType, bytes).map((digest) => ({
      digest,
      hex: imageDigestHex(digest),
    }));
    const hex = createHash("sha256").update(bytes).digest("hex");
    const descriptor = { mediaType, digest: `sha256:${hex}`, size: bytes.length };
    return await this.#write(place, "store a manifest", options?.signal, async () => {
      for (const reference of references) {
        if (!(await exists(join(place.blobs, reference.hex))))
          throw namedBlobMissing(repository, reference.digest);
      }
      await replaceFile(this.#temporary, join(place.blobs, hex), bytes);
      const before = await readIndex(place.index);
      const after = withManifest(before, descriptor, tag);
      if (after !== before) await replaceFile(this.#temporary, place.index, formatIndex(after));
      return descriptor;
    });
  }

  async hasBlob(repository: string, digest: string, options?: Options): Promise<boolean> {
    const place = this.#place(repository);
    const hex = imageDigestHex(digest);
    throwIfAborted(options?.signal);
    // Under the lock, so that a cleaning that is under way either leaves it or has removed it.
    return await this.#locks.run(place.folder, async () => {
      this.#recent.note(place.folder, hex);
      return await exists(join(place.blobs, hex)).catch((error: unknown) => {
        throw unavailable("look for a blob", error);
      });
    });
  }

  readBlob(repository: string, digest: string, options?: Options): ByteStream {
    const place = this.#place(repository);
    return this.#read(place, join(place.blobs, imageDigestHex(digest)), digest, "blob", options?.signal);
  }

  async writeBlob(
    repository: string,
    bytes: ByteSource,
    options?: { readonly expected?: string; readonly signal?: AbortSignal },
  ): Promise<{ readonly digest: string; readonly size: number }> {
    const place = this.#place(repository);
    const { expected, signal } = options ?? {};
    if (expected !== undefined) imageDigestHex(expected);
    throwIfAborted(signal);
    const file = await this.#open()
      .then(() => TemporaryFile.create(this.#temporary))
      .catch((error: unknown) => {
        throw unavailable("open a file for a blob", error);
      });
    try {
      const { hex, size } = await fill(file, abortableStream(openBytes(bytes), signal));
      const digest = `sha256:${hex}`;
      if (expected !== undefined && expected !== digest) throw contentMismatch(repository, expected, digest);
      await this.#write(place, "store a blob", signal, async () => {
        this.#recent.note(place.folder, hex);
        await file.moveTo(join(place.blobs, hex));
      });
      return { digest, size };
    } finally {
      await file.discard();
    }
  }

  async mountBlob(repository: string, digest: string, from: string, options?: Options): Promise<boolean> {
    const place = this.#place(repository);
    const hex = imageDigestHex(digest);
    const source = join(this.#place(from).blobs, hex);
    throwIfAborted(options?.signal);
    if (!(await exists(source).catch(rethrow("look for a blob")))) return false;
    return await this.#write(place, "mount a blob", options?.signal, async () => {
      this.#recent.note(place.folder, hex);
      return await linkFile(this.#temporary, source, join(place.blobs, hex));
    });
  }

  async delete(repository: string, digest: string, options?: Options): Promise<void> {
    const place = this.#place(repository);
    imageDigestHex(digest);
    const entries = await this.#entries(place, options?.signal);
    if (!entries.some((entry) => entry.digest === digest)) return;
    await this.#write(place, "delete a manifest", options?.signal, async () => {
      const before = await readIndex(place.index);
      const after = before.filter((entry) => entry.digest !== digest);
      await replaceFile(this.#temporary, place.index, formatIndex(after));
      // The manifest is gone either way; blobs that stay behind go with a later deletion.
      await this.#sweep(place, after).catch(() => undefined);
    });
  }

  get #temporary(): string {
    return join(this.#dir, "uploads");
  }

  #place(repository: string): Place {
    const folder = join(this.#dir, "repositories", repositoryFolder(repository));
    return { repository, folder, blobs: join(folder, "blobs", "sha256"), index: join(folder, "index.json") };
  }

  async #entries(place: Place, signal: AbortSignal | undefined): Promise<readonly IndexEntry[]> {
    throwIfAborted(signal);
    return await readIndex(place.index).catch(rethrow("read its index"));
  }

  /** Makes the registry's folder at the first write, and removes what a crash left half-written. */
  #open(): Promise<void> {
    this.#ready ??= (async () => {
      await makeFolder(this.#temporary);
      await removeLeftovers(this.#temporary);
    })().catch((error: unknown) => {
      this.#ready = null;
      throw error;
    });
    return this.#ready;
  }

  /** Runs a change of one repository, alone, in a folder that is a layout. */
  async #write<T>(
    place: Place,
    what: string,
    signal: AbortSignal | undefined,
    change: () => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal);
    try {
      await this.#open();
      return await this.#locks.run(place.folder, async () => {
        throwIfAborted(signal);
        await this.#prepare(place);
        return await change();
      });
    } catch (error) {
      throw unavailable(what, error);
    }
  }

  async #prepare(place: Place): Promise<void> {
    if (await exists(place.index)) return;
    await makeFolder(place.blobs);
    const marker = new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}');
    await replaceFile(this.#temporary, join(place.folder, "oci-layout"), marker);
    await replaceFile(this.#temporary, place.index, formatIndex([]));
  }

  async *#read(
    place: Place,
    path: string,
    digest: string,
    what: "blob" | "manifest",
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    throwIfAborted(signal);
    const file = await open(path, "r").catch((error: unknown) => {
      throw codeOf(error) === "ENOENT"
        ? contentNotFound(what, place.repository, digest)
        : unavailable("read", error);
    });
    try {
      const hash = createHash("sha256");
      for (;;) {
        const buffer = Buffer.allocUnsafe(READ_BYTES);
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null).catch(rethrow("read"));
        throwIfAborted(signal);
        if (bytesRead === 0) break;
        const chunk = buffer.subarray(0, bytesRead);
        hash.update(chunk);
        yield chunk;
        throwIfAborted(signal);
      }
      const actual = `sha256:${hash.digest("hex")}`;
      if (actual !== digest) throw contentMismatch(place.repository, digest, actual);
    } finally {
      await file.close();
    }
  }

  /** Removes blobs that nothing needs. What cannot be read leaves everything in place. */
  async #sweep(place: Place, entries: readonly IndexEntry[]): Promise<void> {
    const needed = new Set<string>();
    for (const { mediaType, digest } of entries) {
      const { bytes } = await this.readManifest(place.repository, digest).catch(() => ({ bytes: null }));
      if (bytes === null) return;
      needed.add(imageDigestHex(digest));
      for (const reference of referencedDigests(mediaType, bytes)) needed.add(imageDigestHex(reference));
    }
    for (const name of await readdir(place.blobs)) {
      if (!/^[0-9a-f]{64}$/.test(name) || needed.has(name)) continue;
      if (!this.#recent.has(place.folder, name)) await unlink(join(place.blobs, name));
    }
  }
}

/** An {@link OciLayoutRegistry}. Does no I/O before its first call. */
export function createOciLayoutRegistry(options: OciLayoutRegistryOptions): Registry {
  return new OciLayoutRegistry(options);
}

async function fill(
  file: TemporaryFile,
  bytes: ByteStream,
): Promise<{ readonly hex: string; readonly size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    size += chunk.length;
    await file.write(chunk).catch(rethrow("write a blob"));
  }
  await file.finish().catch(rethrow("write a blob"));
  return { hex: hash.digest("hex"), size };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

function rethrow(what: string): (error: unknown) => never {
  return (error) => {
    throw unavailable(what, error);
  };
}
