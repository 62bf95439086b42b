import { createHash } from "node:crypto";
import {
  assertImageRepository,
  assertImageTag,
  assertManifestSize,
  contentMismatch,
  contentNotFound,
  DinpError,
  imageDigestHex,
  manifestBytesMax,
  referencedDigests,
  type ByteSource,
  type ByteStream,
  type Descriptor,
  type Manifest,
  type Registry,
} from "@dinp/core";
import { RegistryClient } from "./client.js";
import { mapBounded } from "./concurrency.js";
import { throwIfAborted, unavailable } from "./errors.js";
import { checkOptions, type OciRegistryOptions } from "./options.js";
import { parseJson, textOf } from "./json.js";
import { readBlob } from "./read-blob.js";
import type { RepositoryPlace } from "./repository-place.js";
import { isTransient } from "./retry.js";
import { readTags } from "./tags.js";
import type { Answer } from "./answer.js";
import { assertDigest, UploadSession } from "./upload-session.js";
import { writeBlob } from "./write-blob.js";

const TAGS_AT_ONCE = 8;
const MANIFEST_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

type Options = { readonly signal?: AbortSignal } | undefined;
type Actions = "pull" | "pull,push" | "delete";

/**
 * Images in a registry over the network (distribution-spec 1.1; Docker's version 2 is the same). Requests that fail on
 * their way are made again, within bounds, with growing random waits; what the registry sends is checked by its digest,
 * and so is what it says that it stored. A repository's name is put behind the path of the registry's URL.
 *
 * Errors: those of the port, and `DINP_UNAUTHENTICATED`, `DINP_FORBIDDEN` (the credentials may not do this, or the
 * registry lets nobody delete), `DINP_TOO_LARGE`, `DINP_CLOSED`. No error has a secret in it. `DINP_UNAVAILABLE` is not
 * retryable where only a change mends it, such as an untrusted certificate.
 */
export class OciRegistry implements Registry {
  readonly #client: RegistryClient;
  readonly #prefix: string;

  constructor(options: OciRegistryOptions) {
    const settings = checkOptions(options);
    this.#client = new RegistryClient(settings);
    this.#prefix = settings.prefix;
  }

  async resolve(repository: string, tag: string, options?: Options): Promise<string | null> {
    const place = this.#place(repository, "pull");
    assertImageTag(tag);
    return await this.#resolve(place, tag, options?.signal);
  }

  async list(
    repository: string,
    options?: Options,
  ): Promise<readonly { readonly tag: string; readonly digest: string }[]> {
    const place = this.#place(repository, "pull");
    const tags = await readTags(place, options?.signal);
    const found = await mapBounded(tags, TAGS_AT_ONCE, async (tag) => ({
      tag,
      digest: await this.#resolve(place, tag, options?.signal),
    }));
    return found
      .flatMap(({ tag, digest }) => (digest === null ? [] : [{ tag, digest }]))
      .sort((a, b) => (a.tag < b.tag ? -1 : 1));
  }

  async readManifest(repository: string, digest: string, options?: Options): Promise<Manifest> {
    const place = this.#place(repository, "pull");
    imageDigestHex(digest);
    const signal = options?.signal;
    const read = this.#readManifest(place, digest, signal, async (answer) => {
      const { mediaType, bytes } = await this.#manifestOf(place, answer);
      const actual = digestOf(bytes);
      if (actual !== digest) throw contentMismatch(repository, digest, actual);
      assertDigest(repository, digest, answer);
      return { mediaType, digest, bytes };
    });
    return await read.catch(async (error: unknown) => {
      // distribution answers 500 when what lies under the digest is no manifest.
      if (isTransient(error) && (await this.#isOtherContent(place, digest, signal))) {
        throw contentNotFound("manifest", repository, digest);
      }
      throw error;
    });
  }

  async writeManifest(
    repository: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    options?: { readonly tag?: string; readonly signal?: AbortSignal },
  ): Promise<Descriptor> {
    const place = this.#place(repository, "pull,push");
    const { tag, signal } = options ?? {};
    if (tag !== undefined) assertImageTag(tag);
    const { mediaType, bytes } = manifest;
    assertManifestSize(bytes);
    for (const reference of referencedDigests(mediaType, bytes)) imageDigestHex(reference);
    const digest = digestOf(bytes);
    const { client, name, scope } = place;
    const target = `${name}/manifests/${tag ?? digest}`;
    const headers = { "content-type": mediaType };
    await client.call({ method: "PUT", target, scope, headers, body: bytes, signal }, async (answer) => {
      if (answer.status !== 201) throw await this.#manifestRefusal(place, answer);
      assertDigest(repository, digest, answer);
    });
    return { mediaType, digest, size: bytes.length };
  }

  async hasBlob(repository: string, digest: string, options?: Options): Promise<boolean> {
    const place = this.#place(repository, "pull");
    imageDigestHex(digest);
    return await this.#hasBlob(place, digest, options?.signal);
  }

  readBlob(repository: string, digest: string, options?: Options): ByteStream {
    const place = this.#place(repository, "pull");
    imageDigestHex(digest);
    return readBlob({ ...place, digest }, options?.signal);
  }

  async writeBlob(
    repository: string,
    bytes: ByteSource,
    options?: { readonly expected?: string; readonly signal?: AbortSignal },
  ): Promise<{ readonly digest: string; readonly size: number }> {
    const place = this.#place(repository, "pull,push");
    const { expected, signal } = options ?? {};
    if (expected !== undefined) imageDigestHex(expected);
    throwIfAborted(signal);
    return await writeBlob(place, bytes, expected, signal);
  }

  /**
   * As the port says; where the registry does not mount (it need not), the blob is read and written through this process.
   */
  async mountBlob(repository: string, digest: string, from: string, options?: Options): Promise<boolean> {
    const place = this.#place(repository, "pull,push");
    const source = this.#place(from, "pull");
    imageDigestHex(digest);
    const signal = options?.signal;
    if (await this.#mount(place, digest, source, signal)) return true;
    if (!(await this.#hasBlob(source, digest, signal))) return false;
    await writeBlob(place, () => readBlob({ ...source, digest }, signal), digest, signal);
    return true;
  }

  async delete(repository: string, digest: string, options?: Options): Promise<void> {
    const { client, name, scope } = this.#place(repository, "delete");
    imageDigestHex(digest);
    const signal = options?.signal;
    const target = `${name}/manifests/${digest}`;
    await client.call({ method: "DELETE", target, scope, signal }, async (answer) => {
      if (answer.status === 404) await client.assertNotThere(answer, signal);
      else if (answer.status !== 202 && answer.status !== 200 && answer.status !== 204) {
        throw await client.failure(answer, `delete an image of ${repository}`);
      }
    });
  }

  /** Ends every call with `DINP_CLOSED` and gives all connections back. Idempotent. */
  async close(): Promise<void> {
    await this.#client.close();
  }

  #place(repository: string, actions: Actions): RepositoryPlace {
    assertImageRepository(repository);
    const name = `${this.#prefix}${repository}`;
    return { client: this.#client, repository, name, scope: `repository:${name}:${actions}` };
  }

  async #resolve(
    place: RepositoryPlace,
    tag: string,
    signal: AbortSignal | undefined,
  ): Promise<string | null> {
    const { client, name, repository, scope } = place;
    const target = `${name}/manifests/${tag}`;
    const headers = { accept: MANIFEST_TYPES };
    const found = await client.call({ method: "HEAD", target, scope, headers, signal }, async (answer) => {
      if (answer.status === 404) {
        await client.assertNotThere(answer, signal);
        return null;
      }
      if (answer.status !== 200) throw await client.failure(answer, `look up a tag of ${repository}`);
      return answer.header("docker-content-digest") ?? "";
    });
    if (found === null || /^sha256:[0-9a-f]{64}$/.test(found)) return found;
    // The field may be missing: the bytes say it as well.
    return await this.#readManifest(place, tag, signal, async (answer) =>
      digestOf((await this.#manifestOf(place, answer)).bytes),
    );
  }

  async #readManifest<T>(
    { client, name, repository, scope }: RepositoryPlace,
    reference: string,
    signal: AbortSignal | undefined,
    use: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const target = `${name}/manifests/${reference}`;
    const headers = { accept: MANIFEST_TYPES };
    return await client.call({ method: "GET", target, scope, headers, signal }, async (answer) => {
      if (answer.status === 404) {
        await client.assertNotThere(answer, signal);
        throw contentNotFound("manifest", repository, reference);
      }
      if (answer.status !== 200) throw await client.failure(answer, `send a manifest of ${repository}`);
      return await use(answer);
    });
  }

  /** Whether the bytes of this digest are a blob that no manifest could be. */
  async #isOtherContent(
    place: RepositoryPlace,
    digest: string,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { client, name, scope } = place;
    const request = { method: "GET", target: `${name}/blobs/${digest}`, scope, signal } as const;
    const check = client.once(request, async (answer) => {
      if (answer.status !== 200) return false;
      const bytes = await answer.bytes(manifestBytesMax);
      if (bytes === null) return false;
      const json = parseJson(bytes);
      return (
        digestOf(bytes) === digest && json?.["layers"] === undefined && json?.["manifests"] === undefined
      );
    });
    return await check.catch(() => false);
  }

  async #manifestOf(
    { repository }: RepositoryPlace,
    answer: Answer,
  ): Promise<{ readonly mediaType: string; readonly bytes: Uint8Array }> {
    const bytes = await answer.bytes(manifestBytesMax);
    if (bytes === null)
      throw unavailable(`The registry sends a manifest of ${repository} that is too large.`);
    // What the bytes say of themselves is covered by their digest; the field is not.
    const field = (answer.header("content-type") ?? "").split(";")[0]?.trim() ?? "";
    return { mediaType: textOf(parseJson(bytes)?.["mediaType"]) ?? field, bytes };
  }

  /** The error for a manifest that was not taken. */
  async #manifestRefusal({ client, repository }: RepositoryPlace, answer: Answer): Promise<DinpError> {
    const error = await client.failure(answer, `store a manifest in ${repository}`);
    // Some say that a blob is missing as 404.
    if (answer.status !== 400 && answer.status !== 404) return error;
    return new DinpError("DINP_INVALID", error.message, {
      hint: "Write (or mount) the blobs first, then the manifest.",
      details: { repository },
    });
  }

  async #hasBlob(
    { client, name, repository, scope }: RepositoryPlace,
    digest: string,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const target = `${name}/blobs/${digest}`;
    return await client.call({ method: "HEAD", target, scope, signal }, async (answer) => {
      if (answer.status === 200) return true;
      if (answer.status !== 404) throw await client.failure(answer, `look for a blob in ${repository}`);
      await client.assertNotThere(answer, signal);
      return false;
    });
  }

  /** Whether the registry mounted the blob; one that does not begins an upload, which is ended again. */
  async #mount(
    place: RepositoryPlace,
    digest: string,
    source: RepositoryPlace,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { client, name, repository } = place;
    const query = new URLSearchParams({ mount: digest, from: source.name });
    const request = {
      method: "POST",
      target: `${name}/blobs/uploads/?${query.toString()}`,
      scope: `${place.scope} ${source.scope}`,
      signal,
    } as const;
    return await client.call(request, async (answer) => {
      if (answer.status === 201) {
        assertDigest(repository, digest, answer);
        return true;
      }
      if (answer.status !== 202) throw await client.failure(answer, `mount a blob in ${repository}`);
      UploadSession.of(place, answer, signal).abandon();
      return false;
    });
  }
}

/** An {@link OciRegistry}. Does no I/O before its first call; `close` it when it is no longer needed. */
export function createOciRegistry(options: OciRegistryOptions): OciRegistry {
  return new OciRegistry(options);
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
