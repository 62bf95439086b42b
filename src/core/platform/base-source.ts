import { mediaTypes, type BaseImage, type ImagePlatform } from "../build/image-plan.js";
import type { Template } from "../build/templates.js";
import { DinpError } from "../model/errors.js";
import { assertBaseName } from "../model/image-names.js";
import type { ImageRef } from "../model/records.js";
import type { Registry } from "../ports/registry.js";
import type { StateStore } from "../ports/state-store.js";
import { withSignal } from "./app-records.js";
import type { ReadOptions } from "./context.js";
import { layerFormat, readImage } from "./image-reader.js";
import { quoted } from "./text.js";

/** Where a builder finds base images by name. */
export interface BaseSource {
  /** Null when there is none of that name. */
  find(name: string, options?: ReadOptions): Promise<ImageRef | null>;
  /** All names, in order. */
  names(options?: ReadOptions): Promise<readonly string[]>;
}

/** The base images that are registered in a store. */
export function createBaseSource(store: StateStore): BaseSource {
  return {
    async find(name, options = {}) {
      return (await store.get("base", name, withSignal(options)))?.value.image ?? null;
    },
    async names(options = {}) {
      const names: string[] = [];
      for await (const { key } of store.list("base", withSignal(options))) names.push(key);
      return names;
    },
  };
}

/** Of a builder without base images. */
export const noBases: BaseSource = Object.freeze({
  find: () => Promise.resolve(null),
  names: () => Promise.resolve([]),
});

/** The base that a build names, and where. */
export interface WantedBase {
  readonly name: string;
  readonly from: "the request" | "dinp.yaml" | "the template" | "the Dockerfile";
}

/** The request wins over `dinp.yaml`, that over the template; null when none names a base. */
export function wantedBase(
  request: string | undefined,
  manifest: string | undefined,
  template: Pick<Template, "base">,
): WantedBase | null {
  if (request !== undefined) return { name: request, from: "the request" };
  if (manifest !== undefined) return { name: manifest, from: "dinp.yaml" };
  return template.base === null ? null : { name: template.base, from: "the template" };
}

/**
 * The image of that name. A template's base that is not registered is none (null): nodes may have the programs themselves.
 * `DINP_INVALID` for another, naming those that there are.
 */
export async function findBase(
  bases: BaseSource,
  { name, from }: WantedBase,
  options: ReadOptions,
): Promise<ImageRef | null> {
  assertBaseName(name);
  const image = await bases.find(name, options);
  if (image !== null || from === "the template") return image;
  const names = await bases.names(options);
  const known = names.length === 0 ? "There are none yet" : `Base images: ${names.slice(0, 50).join(", ")}`;
  throw new DinpError("DINP_INVALID", `There is no base image ${quoted(name)}, which ${from} names.`, {
    hint: `${known}; "dinp bases add" registers one.`,
    details: { field: "base" },
  });
}

/**
 * Makes the base's layers part of the repository, without sending them. `DINP_IMAGE_NOT_FOUND` (retryable) when the base was
 * replaced meanwhile; `DINP_INVALID` when it is for other machines than the app's.
 */
export async function mountBase(
  registry: Registry,
  name: string,
  image: ImageRef,
  repository: string,
  platform: ImagePlatform,
  options: ReadOptions,
): Promise<BaseImage> {
  const { layers, diffIds, env, user, platform: own } = await readImage(registry, image, withSignal(options));
  if (own.architecture !== platform.architecture || own.os !== platform.os) {
    throw new DinpError(
      "DINP_INVALID",
      `The base image ${quoted(name)} is for ${own.os}/${own.architecture}; apps are built for ${platform.os}/${platform.architecture}.`,
      { hint: "Register one for the nodes' kind of machine.", details: { field: "base" } },
    );
  }
  for (const { digest } of layers) {
    if (await registry.mountBlob(repository, digest, image.repository, withSignal(options))) continue;
    throw new DinpError(
      "DINP_IMAGE_NOT_FOUND",
      `The base image ${quoted(name)} has lost its layer ${digest}.`,
      {
        retryable: true,
        hint: 'If it was replaced just now, push again; else register it again with "dinp bases add".',
        details: { field: "base" },
      },
    );
  }
  return {
    ...{ name, image, digest: image.digest, env, user, diffIds },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType: ociType(mediaType), digest, size })),
  };
}

/** Docker's names for the same formats: an OCI manifest names its layers in OCI's. */
function ociType(mediaType: string): string {
  switch (layerFormat(mediaType)) {
    case "tar":
      return mediaTypes.layerTar;
    case "tar.gz":
      return mediaTypes.layerTarGzip;
    default:
      return mediaType;
  }
}
