import { chooseCommand, requiredPrograms } from "../build/choose-command.js";
import {
  imageConfig,
  imageManifest,
  mediaTypes,
  type ImageParts,
  type ImagePlatform,
} from "../build/image-plan.js";
import { chooseTemplate, templateNamed } from "../build/templates.js";
import { limits as defaultLimits } from "../model/defaults.js";
import { DinpError, type JsonValue } from "../model/errors.js";
import { assertCommand } from "../model/manifest.js";
import type { AppManifest, ImageRef } from "../model/records.js";
import type { Archive, ArchiveFormat } from "../ports/archive.js";
import type { ByteStream, Descriptor, Registry } from "../ports/registry.js";
import type { Clock, Hasher } from "../ports/system.js";
import { AppLayer, once } from "./app-layer.js";
import { boundedStream } from "./timed-stream.js";

/** Bounds of one build. */
export interface BuilderLimits {
  /** Of the archive as it is sent. Default `limits.uploadBytesMax`. */
  readonly uploadBytesMax: number;
  /** Of the files in it. Default `limits.imageBytesMax`. */
  readonly imageBytesMax: number;
  /** Files and folders. Default `limits.imageFilesMax`. */
  readonly imageFilesMax: number;
  /** The longest wait for the next piece of the archive. Default one minute. */
  readonly idleMs: number;
}

export interface BuilderOptions {
  readonly registry: Registry;
  readonly archive: Archive;
  readonly hasher: Hasher;
  readonly clock: Clock;
  /** Reads `dinp.yaml`; `DINP_INVALID` with the place of the mistake. */
  readonly parseYaml: (text: string) => JsonValue;
  readonly limits?: Partial<BuilderLimits>;
  /** Written into the images. Default linux/amd64. */
  readonly platform?: ImagePlatform;
}

export interface ImageBuildRequest {
  /** Where the image goes, such as `apps/hello`. */
  readonly repository: string;
  readonly bytes: ByteStream;
  readonly format: ArchiveFormat;
  /** Default: the one in `dinp.yaml`, else by the files. */
  readonly template?: string;
  /** A shell line or an argument vector, before all that the app itself says. */
  readonly command?: string | readonly string[];
  readonly tag?: string;
  readonly signal?: AbortSignal;
}

/** An image that was built and is in the registry. */
export interface BuildResult {
  readonly image: ImageRef;
  readonly template: string;
  readonly command: readonly string[];
  readonly requires: readonly string[];
  /** The app's `dinp.yaml`, null without one. */
  readonly manifest: AppManifest | null;
  readonly files: number;
  /** Of the files, unpacked. */
  readonly bytes: number;
}

/** Packs built code into images. Nothing of the code is run. */
export interface Builder {
  /**
   * Reads the archive once, as a stream, and stores it as an OCI image: one uncompressed layer in which the archive's
   * entries lie below `/app`. The same entries give the same digest. Paths stay as they are: a single folder around
   * everything is not taken away.
   *
   * Errors: `DINP_ARCHIVE_REFUSED` (names the entry), `DINP_INVALID` (`dinp.yaml`, `package.json`, template, command),
   * `DINP_NO_COMMAND`, `DINP_TOO_LARGE`, `DINP_TIMEOUT`, `DINP_ABORTED` and the registry's. After an error the registry
   * has no new manifest or tag, and no part of a blob.
   */
  build(request: ImageBuildRequest): Promise<BuildResult>;
}

/** A {@link Builder}. */
export function createBuilder(options: BuilderOptions): Builder {
  return new ImageBuilder(options);
}

class ImageBuilder implements Builder {
  readonly #options: BuilderOptions;
  readonly #limits: BuilderLimits;

  constructor(options: BuilderOptions) {
    const { uploadBytesMax, imageBytesMax, imageFilesMax } = defaultLimits;
    this.#options = options;
    this.#limits = { uploadBytesMax, imageBytesMax, imageFilesMax, idleMs: 60_000, ...options.limits };
  }

  async build(request: ImageBuildRequest): Promise<BuildResult> {
    if (request.template !== undefined) templateNamed(request.template);
    if (request.command !== undefined) assertCommand(request.command);
    const stop = new AbortController();
    const abort = (): void => {
      stop.abort();
    };
    request.signal?.addEventListener("abort", abort);
    if (request.signal?.aborted === true) abort();
    try {
      return await this.#build(request, stop.signal);
    } finally {
      request.signal?.removeEventListener("abort", abort);
      // Whatever still waits for the upload lets go of it.
      abort();
    }
  }

  async #build(request: ImageBuildRequest, signal: AbortSignal): Promise<BuildResult> {
    const { repository } = request;
    const app = new AppLayer(this.#options.parseYaml, this.#limits.imageFilesMax);
    const layer = await this.#storeLayer(request, app, signal);
    const { manifest } = app;
    const template = chooseTemplate(app.appFiles.rootNames, request.template ?? manifest?.template);
    const { command } = chooseCommand(app.appFiles, template, manifest, request.command);
    const requires = requiredPrograms(template, command);
    const platform = this.#options.platform ?? { architecture: "amd64", os: "linux" };
    const parts = { template: template.name, command, requires, layer, base: null, platform };
    const digest = await this.#storeImage(repository, parts, request.tag, signal);
    return {
      image: { repository, digest },
      template: template.name,
      command,
      requires,
      manifest,
      ...app.size,
    };
  }

  /** Archive → rewritten entries → tar → registry, in one pass. */
  async #storeLayer(
    request: ImageBuildRequest,
    app: AppLayer,
    signal: AbortSignal,
  ): Promise<{ readonly digest: string; readonly size: number }> {
    const { registry, archive, clock } = this.#options;
    const { uploadBytesMax, imageBytesMax, imageFilesMax, idleMs } = this.#limits;
    const upload = boundedStream(request.bytes, { bytesMax: uploadBytesMax, idleMs }, clock, signal);
    const source = archive.read(upload, {
      format: request.format,
      maxBytes: imageBytesMax,
      maxEntries: imageFilesMax,
      signal,
    });
    const layer = new FailureKeeper(archive.write(app.entries(source), { signal }));
    try {
      return await registry.writeBlob(request.repository, layer, { signal });
    } catch (error) {
      // What went wrong in the archive says more than what a registry makes of a broken stream.
      throw layer.failure === null ? error : layer.failure.error;
    }
  }

  async #storeImage(
    repository: string,
    parts: ImageParts,
    tag: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const { registry } = this.#options;
    const configBytes = imageConfig(parts);
    const config: Descriptor = {
      mediaType: mediaTypes.config,
      digest: this.#digest(configBytes),
      size: configBytes.length,
    };
    await registry.writeBlob(repository, once(configBytes), { expected: config.digest, signal });
    const bytes = imageManifest(parts, config);
    const { digest } = await registry.writeManifest(
      repository,
      { mediaType: mediaTypes.manifest, bytes },
      { signal, ...(tag === undefined ? {} : { tag }) },
    );
    const expected = this.#digest(bytes);
    if (digest === expected) return digest;
    throw new DinpError("DINP_DIGEST_MISMATCH", `The registry stored ${expected} as ${digest}.`, {
      details: { expected, actual: digest },
    });
  }

  #digest(bytes: Uint8Array): string {
    const hash = this.#options.hasher.sha256();
    hash.update(bytes);
    return `sha256:${hash.digestHex()}`;
  }
}

/** A stream that remembers what it failed with. */
class FailureKeeper implements AsyncIterable<Uint8Array> {
  readonly #bytes: ByteStream;
  #failure: { readonly error: unknown } | null = null;

  constructor(bytes: ByteStream) {
    this.#bytes = bytes;
  }

  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#bytes;
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}
