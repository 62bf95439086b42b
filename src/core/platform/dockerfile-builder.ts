import { argumentsOf } from "../build/choose-command.js";
import {
  dockerfileImageConfig,
  dockerfileImageManifest,
  type DockerfileImageParts,
} from "../build/dockerfile-image.js";
import { mediaTypes, type ImagePlatform } from "../build/image-plan.js";
import { DinpError, isDinpError } from "../model/errors.js";
import type { AppManifest, ImageRef } from "../model/records.js";
import type { Archive } from "../ports/archive.js";
import type { ImageTree, ImageWorkshop } from "../ports/image-workshop.js";
import type { Descriptor, Registry } from "../ports/registry.js";
import { once } from "./app-layer.js";
import { findBase, type BaseSource } from "./base-source.js";
import type { BuildReport } from "./build-report.js";
import { DockerfileStages, type FinishedStage } from "./dockerfile-stages.js";
import { readImage } from "./image-reader.js";
import { createImages } from "./images.js";
import { UploadContext } from "./upload-context.js";

/** Finds the image that a reference names, in the platform's registry or brought there. */
export type FindImage = (reference: string, options: { readonly signal?: AbortSignal }) => Promise<ImageRef>;

export interface DockerfileParts {
  readonly registry: Registry;
  readonly archive: Archive;
  readonly bases: BaseSource;
  readonly platform: ImagePlatform;
  readonly workshop?: ImageWorkshop;
  readonly limits: { readonly imageBytesMax: number; readonly imageFilesMax: number };
}

export interface DockerfileRequest {
  readonly repository: string;
  readonly template: string;
  /** The upload, as it was checked and stored. */
  readonly layer: Descriptor;
  readonly wanted: string | readonly string[] | undefined;
  readonly manifest: AppManifest | null;
  readonly tag: string | undefined;
  readonly findImage: FindImage | undefined;
  readonly report: BuildReport;
  readonly log: ((line: string) => void) | undefined;
}

export interface DockerfileImage {
  readonly digest: string;
  readonly command: readonly string[];
  readonly base: { readonly name: string; readonly digest: string } | null;
}

/** Makes images as uploads' own Dockerfiles say, where there is a place to run them. */
export class DockerfileBuilder {
  readonly #parts: DockerfileParts;

  constructor(parts: DockerfileParts) {
    this.#parts = parts;
  }

  /** `DINP_INVALID` where nothing of an upload is run, and for a base that stands beside the Dockerfile's own. */
  workshopFor(template: string, base: string | undefined): ImageWorkshop {
    const { workshop } = this.#parts;
    if (base !== undefined) {
      throw new DinpError(
        "DINP_INVALID",
        `Apps of the template ${template} take no base image: the Dockerfile's FROM names it.`,
        {
          hint: `Write FROM ${base} in the Dockerfile.`,
          details: { field: "base" },
        },
      );
    }
    if (workshop !== undefined) return workshop;
    throw new DinpError(
      "DINP_INVALID",
      `The template ${template} runs programs of uploads, which this platform does not.`,
      {
        hint: "Whoever operates it can start it with --builder docker; else choose another template.",
        details: { field: "template" },
      },
    );
  }

  /** The image, in the registry. Errors: those of the workshop, and `DINP_INVALID` that names a line of the Dockerfile. */
  async build(request: DockerfileRequest, signal: AbortSignal): Promise<DockerfileImage> {
    const { repository, template, layer, manifest, report, log = () => undefined } = request;
    const { registry, archive, platform, limits } = this.#parts;
    const workshop = this.workshopFor(template, manifest?.base);
    const place = { registry, archive, repository, layer };
    const bounds = { maxBytes: limits.imageBytesMax, maxEntries: limits.imageFilesMax };
    const context = await UploadContext.of({ ...place, ...bounds }, signal);
    const parts = {
      ...{ registry, repository, platform, say: log },
      findImage: (reference: string, ends: AbortSignal) => this.#find(reference, request.findImage, ends),
    };
    const stages = new DockerfileStages(parts, context);
    return workshop.during(
      async (work, ends) => {
        const stage = await stages.run(work, ends);
        const chosen = commandOf(stage, request);
        report.command({ command: chosen.command, source: chosen.source }, []);
        const layers = await this.#store(stage, stage.tree, repository, ends);
        const image = {
          ...{ template, settings: stage.settings, platform, ...layers },
          ...{ command: chosen.command, isCommandAsked: chosen.isAsked },
        };
        const digest = await this.#storeImage(repository, image, request.tag, ends);
        const base = stage.base === null ? null : { name: stage.base.name, digest: stage.base.digest };
        return { digest, command: chosen.command, base };
      },
      { log, signal },
    );
  }

  /** A base image of that name before all else. */
  async #find(reference: string, findImage: FindImage | undefined, signal: AbortSignal): Promise<ImageRef> {
    const { bases } = this.#parts;
    const isName = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/.test(reference) && reference.length <= 63;
    const base = isName ? await bases.find(reference, { signal }) : null;
    if (base !== null) return base;
    const wanted = { name: reference, from: "the Dockerfile" } as const;
    if (findImage === undefined) {
      const found = await findBase(bases, wanted, { signal });
      if (found !== null) return found;
    } else {
      try {
        return await findImage(reference, { signal });
      } catch (error) {
        // Of a plain name the base images say more than an empty repository does.
        if (!isName || !isDinpError(error, "DINP_IMAGE_NOT_FOUND")) throw error;
        const found = await findBase(bases, wanted, { signal });
        if (found !== null) return found;
      }
    }
    throw new DinpError("DINP_IMAGE_NOT_FOUND", "The image that FROM names is not there.");
  }

  /** The layers: the base's as they are in the registry, and those that came on top of them. */
  async #store(
    { base }: FinishedStage,
    tree: ImageTree,
    repository: string,
    signal: AbortSignal,
  ): Promise<Pick<DockerfileImageParts, "layers" | "diffIds" | "baseLayers">> {
    const { registry, archive, platform } = this.#parts;
    const images = createImages({ registry, archive, platform });
    const { image } = await images.importArchive(repository, tree.save(), { signal });
    const { layers, diffIds } = await readImage(registry, image, { signal });
    await images.discard(image, { signal });
    const isOnBase = base !== null && base.diffIds.every((diffId, index) => diffIds[index] === diffId);
    const own = isOnBase ? base.layers : [];
    const plain = layers
      .slice(own.length)
      .map(({ digest, size }) => ({ mediaType: mediaTypes.layerTar, digest, size }));
    return { layers: [...own, ...plain], diffIds, baseLayers: own.length };
  }

  async #storeImage(
    repository: string,
    image: DockerfileImageParts,
    tag: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const { registry } = this.#parts;
    const bytes = dockerfileImageConfig(image);
    const config = {
      mediaType: mediaTypes.config,
      ...(await registry.writeBlob(repository, once(bytes), { signal })),
    };
    const manifest = { mediaType: mediaTypes.manifest, bytes: dockerfileImageManifest(image, config) };
    const options = { signal, ...(tag === undefined ? {} : { tag }) };
    return (await registry.writeManifest(repository, manifest, options)).digest;
  }
}

function commandOf(
  { settings }: FinishedStage,
  { wanted, manifest }: DockerfileRequest,
): { readonly command: readonly string[]; readonly source: string; readonly isAsked: boolean } {
  if (wanted !== undefined) return { command: argumentsOf(wanted), source: "the push", isAsked: true };
  if (manifest?.command !== undefined)
    return { command: argumentsOf(manifest.command), source: "dinp.yaml", isAsked: true };
  const command = [...settings.entrypoint, ...settings.cmd];
  if (command.length > 0) return { command, source: "the Dockerfile", isAsked: false };
  throw new DinpError(
    "DINP_NO_COMMAND",
    "Neither the Dockerfile nor its base image says how to start this app.",
    {
      hint: 'Add a line such as CMD ["node", "server.js"] (the app must listen on $PORT).',
      details: { field: "command" },
    },
  );
}
