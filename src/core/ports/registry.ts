/** Bytes that arrive in pieces. A piece belongs to its reader: it does not change any more. */
export type ByteStream = AsyncIterable<Uint8Array>;

/**
 * Bytes that are read once, or a function that opens them: at their beginning and the same ones each time. A stream that it
 * opened before is left by then; one stream is read at a time.
 */
export type ByteSource = ByteStream | (() => ByteStream);

/** OCI content descriptor (image-spec 1.1, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:<64 lower-case hex>`. */
  readonly digest: string;
  readonly size: number;
}

export interface Manifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/**
 * OCI images by repository (distribution-spec 1.1 in its meaning). A repository is lower-case path components
 * (`apps/hello`). Content is addressed by digest, checked both ways: bytes that do not match give `DINP_DIGEST_MISMATCH`
 * and are not stored or not believed. Errors: `DINP_UNAVAILABLE` (retryable; a registry that cannot tell rejects, it never
 * says that nothing is there), `DINP_ABORTED`, `DINP_INVALID` (a repository, tag or digest that is none) and those named
 * below; from one that knows who asks, `DINP_UNAUTHENTICATED` and `DINP_FORBIDDEN`. Calls are safe at the same time.
 */
export interface Registry {
  /** The digest that a tag points to now, or null. */
  resolve(
    repository: string,
    tag: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<string | null>;
  /** `DINP_IMAGE_NOT_FOUND` when there is none. At most 4 MiB. */
  readManifest(
    repository: string,
    digest: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Manifest>;
  /**
   * Stores the manifest, after its blobs; with `tag`, points the tag at it. Idempotent. `DINP_INVALID` when it is not JSON
   * or names a blob that the repository does not have, `DINP_TOO_LARGE` over 4 MiB.
   */
  writeManifest(
    repository: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    options?: { readonly tag?: string; readonly signal?: AbortSignal },
  ): Promise<Descriptor>;
  hasBlob(repository: string, digest: string, options?: { readonly signal?: AbortSignal }): Promise<boolean>;
  /** The blob's bytes; the stream rejects at its end with `DINP_DIGEST_MISMATCH` when they do not match. `DINP_IMAGE_NOT_FOUND`. */
  readBlob(repository: string, digest: string, options?: { readonly signal?: AbortSignal }): ByteStream;
  /**
   * Stores a blob from a source of unknown digest or, with `expected`, of a known one. Nothing partial is ever visible.
   * A stream is read once, with back-pressure; when it fails, the write fails with its error. A source that is a function
   * may be opened again where the registry has lost what it was sent, never after a failure of its own: the blob is then
   * what the last stream gave, which was read to its end. One that gives other bytes the second time is refused
   * (`DINP_DIGEST_MISMATCH`). Idempotent.
   */
  writeBlob(
    repository: string,
    bytes: ByteSource,
    options?: { readonly expected?: string; readonly signal?: AbortSignal },
  ): Promise<{ readonly digest: string; readonly size: number }>;
  /** Makes a blob of one repository available in another without sending it; false when it is not there. */
  mountBlob(
    repository: string,
    digest: string,
    from: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<boolean>;
  /** Tags of a repository with their digests, by tag (in the order of their bytes). */
  list(
    repository: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<readonly { readonly tag: string; readonly digest: string }[]>;
  /** Deletes the manifest and its tags in this repository; idempotent. Blobs may go later. */
  delete(repository: string, digest: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
}
