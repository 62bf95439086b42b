import {
  abortableStream,
  assertImageRepository,
  assertImageTag,
  assertManifestSize,
  contentMismatch,
  contentNotFound,
  DinpError,
  imageDigestHex,
  namedBlobMissing,
  referencedDigests,
  openBytes,
  type ByteSource,
  type ByteStream,
  type Clock,
  type Descriptor,
  type Hasher,
  type Manifest,
  type Registry,
} from "@dinp/core";

const READ_BYTES = 256 * 1024;
/** A blob that somebody wrote, mounted or asked for this recently may be about to be named in a manifest. */
const RECENT_MS = 3_600_000;

export interface MemoryRegistryOptions {
  readonly hasher: Hasher;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** All content together at most; a write beyond it is `DINP_TOO_LARGE`. Default 1 GiB. */
  readonly bytesMax?: number;
  /** Where content is kept, by digest. Default: a map of its own. */
  readonly contents?: Map<string, Uint8Array>;
}

/**
 * A `Registry` in this process's memory: the reference for what every other one does. Content is kept once, whatever
 * number of repositories hold it, and copied on its way in and out. Deleting a manifest also removes blobs of its
 * repository that no manifest names and that nobody wrote, mounted or asked for within the last hour.
 */
export function createMemoryRegistry(options: MemoryRegistryOptions): Registry {
  return new MemoryRegistry(options);
}

type Options = { readonly signal?: AbortSignal } | undefined;

interface Repository {
  /** Digests with the time of their last use. */
  readonly blobs: Map<string, number>;
  readonly manifests: Map<string, { readonly mediaType: string; readonly references: readonly string[] }>;
  readonly tags: Map<string, string>;
}

class MemoryRegistry implements Registry {
  readonly #repositories = new Map<string, Repository>();
  readonly #hasher: Hasher;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #contents: Map<string, Uint8Array>;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(options: MemoryRegistryOptions) {
    this.#hasher = options.hasher;
    this.#clock = options.clock;
    this.#contents = options.contents ?? new Map<string, Uint8Array>();
    this.#bytesMax = options.bytesMax ?? 1024 ** 3;
  }

  async resolve(repository: string, tag: string, options?: Options): Promise<string | null> {
    assertImageTag(tag);
    return (await this.#enter(repository, options))?.tags.get(tag) ?? null;
  }

  async list(
    repository: string,
    options?: Options,
  ): Promise<readonly { readonly tag: string; readonly digest: string }[]> {
    const tags = (await this.#enter(repository, options))?.tags ?? new Map<string, string>();
    return [...tags].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tag, digest]) => ({ tag, digest }));
  }

  async readManifest(repository: string, digest: string, options?: Options): Promise<Manifest> {
    imageDigestHex(digest);
    const held = (await this.#enter(repository, options))?.manifests.get(digest);
    if (held === undefined) throw contentNotFound("manifest", repository, digest);
    const bytes = this.#content("manifest", repository, digest);
    this.#check(repository, digest, bytes);
    return { mediaType: held.mediaType, digest, bytes: bytes.slice() };
  }

  async writeManifest(
    repository: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    options?: { readonly tag?: string; readonly signal?: AbortSignal },
  ): Promise<Descriptor> {
    const tag = options?.tag;
    if (tag !== undefined) assertImageTag(tag);
    const { mediaType } = manifest;
    const bytes = manifest.bytes.slice();
    assertManifestSize(bytes);
    const references = referencedDigests(mediaType, bytes);
    for (const digest of references) imageDigestHex(digest);
    const held = await this.#enter(repository, options);
    for (const digest of references) {
      if (held?.blobs.has(digest) !== true) throw namedBlobMissing(repository, digest);
    }
    const descriptor = { mediaType, digest: this.#digestOf(bytes), size: bytes.length };
    const { digest } = descriptor;
    this.#keep(digest, bytes);
    const { blobs, manifests, tags } = this.#made(repository);
    blobs.set(digest, this.#clock.monotonicMs());
    manifests.set(digest, { mediaType, references });
    if (tag !== undefined) tags.set(tag, digest);
    return descriptor;
  }

  async hasBlob(repository: string, digest: string, options?: Options): Promise<boolean> {
    imageDigestHex(digest);
    const held = await this.#enter(repository, options);
    if (held?.blobs.has(digest) !== true) return false;
    held.blobs.set(digest, this.#clock.monotonicMs());
    return true;
  }

  readBlob(repository: string, digest: string, options?: Options): ByteStream {
    assertImageRepository(repository);
    imageDigestHex(digest);
    return this.#read(repository, digest, options);
  }

  async writeBlob(
    repository: string,
    bytes: ByteSource,
    options?: { readonly expected?: string; readonly signal?: AbortSignal },
  ): Promise<{ readonly digest: string; readonly size: number }> {
    const { expected, signal } = options ?? {};
    if (expected !== undefined) imageDigestHex(expected);
    await this.#enter(repository, options);
    const content = await this.#collect(abortableStream(openBytes(bytes), signal));
    throwIfAborted(signal);
    const digest = this.#digestOf(content);
    if (expected !== undefined && expected !== digest) throw contentMismatch(repository, expected, digest);
    this.#keep(digest, content);
    this.#made(repository).blobs.set(digest, this.#clock.monotonicMs());
    return { digest, size: content.length };
  }

  async mountBlob(repository: string, digest: string, from: string, options?: Options): Promise<boolean> {
    imageDigestHex(digest);
    assertImageRepository(repository);
    const source = await this.#enter(from, options);
    if (source?.blobs.has(digest) !== true) return false;
    this.#made(repository).blobs.set(digest, this.#clock.monotonicMs());
    return true;
  }

  async delete(repository: string, digest: string, options?: Options): Promise<void> {
    imageDigestHex(digest);
    const held = await this.#enter(repository, options);
    if (held?.manifests.delete(digest) !== true) return;
    for (const [tag, target] of held.tags) if (target === digest) held.tags.delete(tag);
    this.#sweep(held);
  }

  async *#read(
    repository: string,
    digest: string,
    options: Options,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const held = await this.#enter(repository, options);
    if (held?.blobs.has(digest) !== true) throw contentNotFound("blob", repository, digest);
    const bytes = this.#content("blob", repository, digest);
    for (let at = 0; at < bytes.length; at += READ_BYTES) {
      yield bytes.slice(at, at + READ_BYTES);
      throwIfAborted(options?.signal);
    }
    this.#check(repository, digest, bytes);
  }

  /** The repository, if there is one; from here to the caller's next wait nothing else happens. */
  async #enter(repository: string, options: Options): Promise<Repository | undefined> {
    assertImageRepository(repository);
    throwIfAborted(options?.signal);
    await Promise.resolve();
    throwIfAborted(options?.signal);
    return this.#repositories.get(repository);
  }

  #made(repository: string): Repository {
    const present = this.#repositories.get(repository);
    if (present !== undefined) return present;
    const made: Repository = { blobs: new Map(), manifests: new Map(), tags: new Map() };
    this.#repositories.set(repository, made);
    return made;
  }

  async #collect(bytes: ByteStream): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of bytes) {
      size += chunk.length;
      if (size > this.#bytesMax) throw this.#full();
      chunks.push(chunk.slice());
    }
    const whole = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  /** Stores content over what may be there, which may be damaged. */
  #keep(digest: string, bytes: Uint8Array): void {
    const before = this.#contents.get(digest)?.length ?? 0;
    if (this.#bytes - before + bytes.length > this.#bytesMax) throw this.#full();
    this.#bytes += bytes.length - before;
    this.#contents.set(digest, bytes);
  }

  #content(what: "blob" | "manifest", repository: string, digest: string): Uint8Array {
    const bytes = this.#contents.get(digest);
    if (bytes === undefined) throw contentNotFound(what, repository, digest);
    return bytes;
  }

  #check(repository: string, digest: string, bytes: Uint8Array): void {
    const actual = this.#digestOf(bytes);
    if (actual !== digest) throw contentMismatch(repository, digest, actual);
  }

  #digestOf(bytes: Uint8Array): string {
    const hash = this.#hasher.sha256();
    hash.update(bytes);
    return `sha256:${hash.digestHex()}`;
  }

  #sweep(held: Repository): void {
    const needed = new Set(held.manifests.keys());
    for (const { references } of held.manifests.values()) for (const digest of references) needed.add(digest);
    const now = this.#clock.monotonicMs();
    for (const [digest, usedAt] of held.blobs) {
      if (needed.has(digest) || now - usedAt < RECENT_MS) continue;
      held.blobs.delete(digest);
      this.#release(digest);
    }
  }

  #release(digest: string): void {
    for (const { blobs } of this.#repositories.values()) if (blobs.has(digest)) return;
    this.#bytes -= this.#contents.get(digest)?.length ?? 0;
    this.#contents.delete(digest);
  }

  #full(): DinpError {
    return new DinpError(
      "DINP_TOO_LARGE",
      `The registry in memory holds at most ${String(this.#bytesMax)} bytes.`,
      { hint: "Delete images, or use a registry on disk.", details: { bytesMax: this.#bytesMax } },
    );
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The registry call was aborted.");
}
