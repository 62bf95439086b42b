import type { Descriptor } from "../ports/registry.js";
import { appFolder } from "./rewrite-entry.js";

/** Media types of OCI images (image-spec 1.1, media-types.md). */
export const mediaTypes = Object.freeze({
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layerTar: "application/vnd.oci.image.layer.v1.tar",
  layerTarGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
});

/** Labels of the images that are built here. */
export const imageLabels = Object.freeze({
  template: "io.dinp.template",
  command: "io.dinp.command",
  requires: "io.dinp.requires",
});

/** Layers of an image that the app is put on, lowest first, with the digests of their uncompressed tars. */
export interface BaseImage {
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
}

/** The machine that an image is for, in the words of image-spec 1.1 (Go's GOARCH). */
export interface ImagePlatform {
  readonly architecture: string;
  readonly os: string;
}

export interface ImageParts {
  readonly template: string;
  readonly command: readonly string[];
  readonly requires: readonly string[];
  /** The app's layer: an uncompressed tar, so its digest is its diff id as well. */
  readonly layer: { readonly digest: string; readonly size: number };
  readonly base: BaseImage | null;
  readonly platform: ImagePlatform;
}

const EPOCH = "1970-01-01T00:00:00Z";

/** The image's configuration (image-spec 1.1, config.md). The same parts give the same bytes; its time is the epoch. */
export function imageConfig(parts: ImageParts): Uint8Array {
  return encode({
    created: EPOCH,
    architecture: parts.platform.architecture,
    os: parts.platform.os,
    config: {
      Cmd: parts.command,
      WorkingDir: `/${appFolder}`,
      Labels: {
        [imageLabels.command]: JSON.stringify(parts.command),
        [imageLabels.requires]: parts.requires.join(","),
        [imageLabels.template]: parts.template,
      },
    },
    rootfs: { type: "layers", diff_ids: [...(parts.base?.diffIds ?? []), parts.layer.digest] },
    history: [
      ...(parts.base?.layers ?? []).map(() => ({ created: EPOCH, created_by: "base" })),
      { created: EPOCH, created_by: `dinp build --template ${parts.template}` },
    ],
  });
}

/** The image's manifest (image-spec 1.1, manifest.md), deterministic as well. */
export function imageManifest(parts: ImageParts, config: Descriptor): Uint8Array {
  const layer = { mediaType: mediaTypes.layerTar, digest: parts.layer.digest, size: parts.layer.size };
  return encode({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptor(config),
    layers: [...(parts.base?.layers ?? []).map(descriptor), layer],
    annotations: { [imageLabels.template]: parts.template },
  });
}

function descriptor({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
