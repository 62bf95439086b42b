import type { ImageRef } from "../model/records.js";
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
  port: "io.dinp.port",
});

/** The image that the app is put on. */
export interface BaseImage {
  readonly name: string;
  readonly digest: string;
  /** As it is registered. */
  readonly image: ImageRef;
  /** `NAME=value` each: the app has them too. */
  readonly env: readonly string[];
  /** Who the app runs as; empty when the base does not say. */
  readonly user: string;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
  /** The digests of the layers' uncompressed tars. */
  readonly diffIds: readonly string[];
}

/** A layer of what a build installed for its app. */
export interface InstalledLayer {
  readonly layer: Descriptor;
  readonly diffId: string;
  readonly env: Readonly<Record<string, string>>;
  /** What made it, for the image's history. */
  readonly createdBy: string;
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
  /** The port on which the app listens whatever `PORT` says; null when it listens on `PORT`. */
  readonly port: number | null;
  /** The app's layer as it is stored. */
  readonly layer: Descriptor;
  /** The digest of the layer's uncompressed tar (image-spec 1.1, config.md): the layer's own, unless it is compressed. */
  readonly diffId: string;
  /** What was installed for the app: a layer below the app's own, and variables that show it to the app. */
  readonly installed: InstalledLayer | null;
  readonly base: BaseImage | null;
  readonly platform: ImagePlatform;
}

export const EPOCH = "1970-01-01T00:00:00Z";

/**
 * The image's configuration (image-spec 1.1, config.md). The same parts give the same bytes; its time is the epoch. Of a
 * base it keeps variables and user; its entry point, command, working folder, volumes and ports are not the app's.
 */
export function imageConfig(parts: ImageParts): Uint8Array {
  const { base, installed } = parts;
  const own = Object.entries(installed?.env ?? {}).map(([name, value]) => `${name}=${value}`);
  const env = [...(base?.env ?? []), ...own];
  return encodeJson({
    created: EPOCH,
    architecture: parts.platform.architecture,
    os: parts.platform.os,
    config: {
      ...(parts.base === null || parts.base.user === "" ? {} : { User: parts.base.user }),
      ...(env.length === 0 ? {} : { Env: env }),
      Cmd: parts.command,
      WorkingDir: `/${appFolder}`,
      ...(parts.port === null ? {} : { ExposedPorts: { [`${String(parts.port)}/tcp`]: {} } }),
      Labels: {
        [imageLabels.command]: JSON.stringify(parts.command),
        [imageLabels.requires]: parts.requires.join(","),
        [imageLabels.template]: parts.template,
        ...(parts.port === null ? {} : { [imageLabels.port]: String(parts.port) }),
      },
    },
    rootfs: {
      type: "layers",
      diff_ids: [...(base?.diffIds ?? []), ...(installed === null ? [] : [installed.diffId]), parts.diffId],
    },
    history: [
      ...(base?.layers ?? []).map(() => ({ created: EPOCH, created_by: "base" })),
      ...(installed === null ? [] : [{ created: EPOCH, created_by: installed.createdBy }]),
      { created: EPOCH, created_by: `dinp build --template ${parts.template}` },
    ],
  });
}

/** The image's manifest (image-spec 1.1, manifest.md), deterministic as well. */
export function imageManifest(parts: ImageParts, config: Descriptor): Uint8Array {
  return encodeJson({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptor(config),
    layers: [
      ...(parts.base?.layers ?? []),
      ...(parts.installed === null ? [] : [parts.installed.layer]),
      parts.layer,
    ].map(descriptor),
    annotations: { [imageLabels.template]: parts.template, ...baseAnnotations(parts.base) },
  });
}

/** image-spec 1.1, annotations.md. */
function baseAnnotations(base: BaseImage | null): Readonly<Record<string, string>> {
  if (base === null) return {};
  return {
    "org.opencontainers.image.base.name": `bases/${base.name}`,
    "org.opencontainers.image.base.digest": base.digest,
  };
}

function descriptor({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
