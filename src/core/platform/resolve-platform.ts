import {
  formatPlatform,
  indexTypes,
  platformImages,
  selectPlatform,
  type NodePlatform,
} from "../build/select-platform.js";
import { DinpError } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import type { Registry } from "../ports/registry.js";

/**
 * The image that a node runs: the one that `image` is, or the one for the node's platform in the index that it is.
 * Errors: the registry's; `DINP_IMAGE_NOT_FOUND` (names the platforms that there are) when none of an index runs there;
 * `DINP_CORRUPT` for an index that cannot be read, or that leads to another.
 */
export async function resolvePlatform(
  registry: Registry,
  image: ImageRef,
  node: NodePlatform,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ImageRef> {
  const { repository, digest } = image;
  const { mediaType, bytes } = await registry.readManifest(repository, digest, options);
  if (!indexTypes.includes(mediaType)) return image;
  const images = platformImages(bytes);
  if (images === null) throw corrupt(image, "it lists no images");
  const selected = selectPlatform(images, node);
  if (selected === null) {
    const found = [...new Set(images.map(({ platform }) => formatPlatform(platform)))].sort();
    throw new DinpError(
      "DINP_IMAGE_NOT_FOUND",
      `${repository}@${digest} has no image for ${formatPlatform(node)}.`,
      {
        hint:
          found.length === 0 ? "It has none for any." : `It has some for ${found.slice(0, 20).join(", ")}.`,
        details: { repository, digest, platforms: found.slice(0, 100) },
      },
    );
  }
  if (indexTypes.includes(selected.mediaType)) throw corrupt(image, "it leads to another index");
  return { repository, digest: selected.digest };
}

function corrupt({ repository, digest }: ImageRef, why: string): DinpError {
  return new DinpError("DINP_CORRUPT", `The image index ${repository}@${digest} cannot be used: ${why}.`, {
    hint: "Push it again.",
  });
}
