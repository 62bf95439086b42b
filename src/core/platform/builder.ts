import { chooseCommand, requiredPrograms } from "../build/choose-command.js";
import {
  imageConfig,
  imageManifest,
  mediaTypes,
  type BaseImage,
  type ImageParts,
  type ImagePlatform,
} from "../build/image-plan.js";
import { builtInTemplates } from "../build/built-in-templates.js";
import { chooseTemplate, templateNamed, type Template } from "../build/templates.js";
import { limits as defaultLimits } from "../model/defaults.js";
import { DinpError, type JsonValue } from "../model/errors.js";
import { assertImageRepository, assertImageTag } from "../model/image-names.js";
import { assertCommand } from "../model/manifest.js";
import type { AppManifest, ImageRef } from "../model/records.js";
import type { Archive, ArchiveFormat } from "../ports/archive.js";
import type { Compressor } from "../ports/compressor.js";
import type { ImageWorkshop } from "../ports/image-workshop.js";
import type { ByteSource, Descriptor, Registry } from "../ports/registry.js";
import type { Spool } from "../ports/spool.js";
import type { Clock, Hasher } from "../ports/system.js";
import { pipRequirements } from "../build/pip-step.js";
import { LayerWriter, type WrittenLayer } from "./layer-writer.js";
import { PipInstaller, withEnv, type InstallSteps } from "./pip-installer.js";
import { once, type AppLayer } from "./app-layer.js";
import { AppUpload, type AppUploadParts, type UploadedAs } from "./app-upload.js";
import { BaseAhead } from "./base-ahead.js";
import { findBase, mountBase, noBases, wantedBase, type BaseSource, type WantedBase } from "./base-source.js";
import { BuildReport } from "./build-report.js";
import { DockerfileBuilder, type FindImage } from "./dockerfile-builder.js";

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
  readonly parseYaml: (text: string) => JsonValue | Promise<JsonValue>;
  readonly limits?: Partial<BuilderLimits>;
  /** Base images that apps can be put on. Default: none. */
  readonly bases?: BaseSource;
  /**
   * Keeps uploads that come once while their layer is written, so that the registry can be sent the layer again. For registries
   * that may lose what they were sent; default: none, and each upload is read once.
   */
  readonly spool?: Spool;
  /** Compresses the layers. Without one they are stored as plain tars, which is faster; their diff ids are the same. */
  readonly compressor?: Compressor;
  /** In the order in which they are tried; one is `plain`. Default: those that come with the platform. */
  readonly templates?: readonly Template[];
  /**
   * Runs what apps ask to have installed (`pip_requirements.txt`). Default: none, and nothing of an upload is run: such files are
   * left as they are.
   */
  readonly steps?: InstallSteps;
  /** Makes images as apps' own Dockerfiles say. Default: none, and such apps are refused. */
  readonly workshop?: ImageWorkshop;
  /** Written into the images. Default linux/amd64. */
  readonly platform?: ImagePlatform;
}

export interface ImageBuildRequest {
  /** Where the image goes, such as `apps/hello`. */
  readonly repository: string;
  /** A stream, or a function that opens it, as often as the registry has to be sent the layer again. */
  readonly bytes: ByteSource;
  /** Default: by the first bytes. */
  readonly format?: ArchiveFormat | undefined;
  /** What the upload is called, such as `shop.war`: some templates go by it. */
  readonly fileName?: string | undefined;
  /** Default: the one in `dinp.yaml`, else by the files. */
  readonly template?: string;
  /** A shell line or an argument vector, before all that the app itself says. */
  readonly command?: string | readonly string[];
  /** The name of the base image that the app is put on. Default: the one in `dinp.yaml`, else the template's if there is one. */
  readonly base?: string;
  readonly tag?: string;
  /** Finds what a Dockerfile's `FROM` names, unless it is a base image. Default: only base images are found. */
  readonly findImage?: FindImage;
  /** Is told what the build does, a line each; names from the archive are in them as they are. */
  readonly log?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** An image that was built and is in the registry. */
export interface BuildResult {
  readonly image: ImageRef;
  readonly template: string;
  /** The image that it was put on, null without one. */
  readonly base: { readonly name: string; readonly digest: string } | null;
  readonly command: readonly string[];
  readonly requires: readonly string[];
  /** The app's `dinp.yaml`, null without one. */
  readonly manifest: AppManifest | null;
  readonly files: number;
  /** Of the files, unpacked. */
  readonly bytes: number;
}

/**
 * Packs built code into images. Nothing of the code is run, but what it asks to have installed where there are steps for that, and
 * what its Dockerfile says, when that is asked for, where there is a workshop.
 */
export interface Builder {
  /** What apps can be made of, in the order in which it is tried. */
  readonly templates: readonly Template[];
  /**
   * Reads the archive as a stream, and stores it as an OCI image: one layer in which the archive's
   * entries lie below `/app`. The same entries and compression give the same digest. Paths stay as they are: a single folder around
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
  readonly templates: readonly Template[];
  readonly #options: BuilderOptions;
  readonly #limits: BuilderLimits;
  readonly #bases: BaseSource;
  readonly #platform: ImagePlatform;
  readonly #layers: LayerWriter;
  readonly #installer: PipInstaller;
  readonly #dockerfiles: DockerfileBuilder;

  constructor(options: BuilderOptions) {
    const { uploadBytesMax, imageBytesMax, imageFilesMax } = defaultLimits;
    this.templates = options.templates ?? builtInTemplates;
    this.#bases = options.bases ?? noBases;
    this.#platform = options.platform ?? { architecture: "amd64", os: "linux" };
    this.#options = options;
    this.#limits = { uploadBytesMax, imageBytesMax, imageFilesMax, idleMs: 60_000, ...options.limits };
    this.#layers = new LayerWriter(options);
    this.#installer = new PipInstaller(options, this.#layers, this.#limits);
    this.#dockerfiles = new DockerfileBuilder({
      ...options,
      ...{ bases: this.#bases, platform: this.#platform, limits: this.#limits },
    });
  }

  async build(request: ImageBuildRequest): Promise<BuildResult> {
    const asked = request.template === undefined ? null : templateNamed(this.templates, request.template);
    if (asked?.build === "dockerfile") this.#dockerfiles.workshopFor(asked.name, request.base);
    if (request.command !== undefined) assertCommand(request.command);
    assertImageRepository(request.repository);
    if (request.tag !== undefined) assertImageTag(request.tag);
    // Before the upload is read.
    if (request.base !== undefined)
      await findBase(this.#bases, { name: request.base, from: "the request" }, request);
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
    const report = new BuildReport(request.log ?? (() => undefined), this.#options.clock);
    const ahead = new BaseAhead();
    const { layer, diffId, app, uploaded } = await this.#storeLayer(request, signal, (read, as) => {
      ahead.begin(() => this.#baseAhead(request, read, as, signal));
    });
    const { manifest, appFiles } = app;
    report.received(uploaded.format, app.size);
    const template = this.#template(request, app, uploaded);
    report.template(template, request.template, manifest?.template);
    if (template.build === "dockerfile") {
      this.#dockerfiles.workshopFor(template.name, request.base);
      const { command: wanted, tag, findImage, log } = request;
      const { name } = template;
      const made = await this.#dockerfiles.build(
        { repository, template: name, layer, wanted, manifest, tag, findImage, report, log },
        signal,
      );
      const { digest, command, base } = made;
      report.stored(repository, digest, tag);
      return {
        image: { repository, digest },
        template: name,
        base,
        command,
        requires: [],
        manifest,
        ...app.size,
      };
    }
    const chosen = chooseCommand(appFiles, template, manifest, {
      wanted: request.command,
      templates: this.templates,
    });
    const { command } = chosen;
    const requires = requiredPrograms(template, command);
    report.command(chosen, requires);
    report.layer(layer);
    const base = await this.#base(
      request,
      wantedBase(request.base, manifest?.base, template),
      report,
      ahead,
      signal,
    );
    const isPython = template.requires.includes("python3") || requires.includes("python3");
    const installed =
      isPython && appFiles.hasFile(pipRequirements)
        ? await this.#installer.install({ repository, layer, base, report, log: request.log }, signal)
        : null;
    const platform = this.#platform;
    const parts = {
      template: template.name,
      command,
      requires,
      port: template.port,
      layer,
      diffId,
      installed,
      base,
      platform,
    };
    const digest = await this.#storeImage(repository, parts, request.tag, signal);
    report.stored(repository, digest, request.tag);
    return {
      image: { repository, digest },
      template: template.name,
      base: base === null ? null : { name: base.name, digest: base.digest },
      command,
      requires,
      manifest: withEnv(manifest, installed),
      ...app.size,
    };
  }

  async #base(
    request: ImageBuildRequest,
    wanted: WantedBase | null,
    report: BuildReport,
    ahead: BaseAhead,
    signal: AbortSignal,
  ): Promise<BaseImage | null> {
    const image = wanted === null ? null : await findBase(this.#bases, wanted, { signal });
    report.base(wanted, image);
    if (wanted === null || image === null) return null;
    const mounted = await ahead.mounted();
    if (mounted?.name === wanted.name && mounted.digest === image.digest) return mounted;
    const { registry } = this.#options;
    return mountBase(registry, wanted.name, image, request.repository, this.#platform, { signal });
  }

  /** What {@link ImageBuilder.#base} will probably need, while the rest of the layer is stored. */
  async #baseAhead(
    request: ImageBuildRequest,
    app: AppLayer,
    uploaded: UploadedAs,
    signal: AbortSignal,
  ): Promise<BaseImage | null> {
    const template = this.#template(request, app, uploaded);
    const wanted = wantedBase(request.base, app.manifest?.base, template);
    if (wanted === null || template.build === "dockerfile") return null;
    const image = await findBase(this.#bases, wanted, { signal });
    if (image === null) return null;
    const { registry } = this.#options;
    return mountBase(registry, wanted.name, image, request.repository, this.#platform, { signal });
  }

  #template(request: ImageBuildRequest, { manifest, appFiles }: AppLayer, uploaded: UploadedAs): Template {
    const named = request.template ?? manifest?.template;
    if (named !== undefined) return templateNamed(this.templates, named);
    return uploaded.template ?? chooseTemplate(this.templates, appFiles);
  }

  /** Archive → rewritten entries → tar → (compressed) → registry, in one pass, and again when the registry asks for it. */
  async #storeLayer(
    request: ImageBuildRequest,
    signal: AbortSignal,
    onComplete: NonNullable<AppUploadParts["onComplete"]>,
  ): Promise<WrittenLayer & { readonly app: AppLayer; readonly uploaded: UploadedAs }> {
    const parts = { ...this.#options, templates: this.templates, limits: this.#limits, onComplete };
    const upload = await AppUpload.open(request, parts, signal);
    try {
      const entries = upload.isRepeatable ? () => upload.entries() : upload.entries();
      const written = await this.#layers.write(request.repository, entries, signal);
      return { ...written, app: upload.app, uploaded: upload.uploaded };
    } finally {
      await upload.close();
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
