import type { Descriptor } from "../ports/registry.js";
import type { ImagePlatform } from "./image-plan.js";

/** Media types of a list of images by platform (image-spec 1.1, image-index.md; Docker's manifest list). */
export const indexTypes: readonly string[] = Object.freeze([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);

/** A machine that images are for, with the variant of its processor (`v7`, `v8`) when there is one. */
export interface NodePlatform extends ImagePlatform {
  readonly variant?: string;
}

/** An image of an index. */
export interface PlatformImage extends Descriptor {
  readonly platform: NodePlatform;
}

/**
 * The images that an index lists, with their platforms; null when it is not an index. What says no platform, or an
 * unknown one (such as attestations), is left out.
 */
export function platformImages(bytes: Uint8Array): readonly PlatformImage[] | null {
  const manifests = parse(bytes)?.["manifests"];
  return Array.isArray(manifests) ? manifests.flatMap(platformImage) : null;
}

/**
 * The image for a node: of its system and processor, and of the highest variant that is not above the node's (`v7` runs
 * `v6`). Without a variant the usual one is meant: amd64 v1, arm64 v8, arm v7. Null when there is none.
 */
export function selectPlatform(images: readonly PlatformImage[], node: NodePlatform): PlatformImage | null {
  const wanted = variantNumber(node);
  let best: PlatformImage | null = null;
  for (const image of images) {
    const { architecture, os } = image.platform;
    if (os !== node.os || architecture !== node.architecture || variantNumber(image.platform) > wanted)
      continue;
    if (best === null || variantNumber(image.platform) > variantNumber(best.platform)) best = image;
  }
  return best;
}

/** `linux/arm/v7`. */
export function formatPlatform({ os, architecture, variant }: NodePlatform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
}

/** As containerd's platforms package has it. */
const plainVariants: ReadonlyMap<string, number> = new Map([
  ["amd64", 1],
  ["arm64", 8],
  ["arm", 7],
]);

function variantNumber({ architecture, variant }: NodePlatform): number {
  const number = /^v(\d{1,3})$/.exec(variant ?? "")?.[1];
  return number === undefined ? (plainVariants.get(architecture) ?? 0) : Number(number);
}

function platformImage(value: unknown): readonly PlatformImage[] {
  if (!isObject(value) || !isObject(value["platform"])) return [];
  const { mediaType, digest, size } = value;
  const { architecture, os, variant } = value["platform"];
  if (typeof mediaType !== "string" || typeof digest !== "string" || typeof size !== "number") return [];
  if (typeof architecture !== "string" || typeof os !== "string" || os === "unknown") return [];
  const platform = {
    architecture,
    os,
    ...(typeof variant === "string" && variant !== "" ? { variant } : {}),
  };
  return [{ mediaType, digest, size, platform }];
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
