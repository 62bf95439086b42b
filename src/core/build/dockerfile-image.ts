import type { Descriptor } from "../ports/registry.js";
import { configOf, type ImageSettings } from "./dockerfile/index.js";
import { encodeJson, EPOCH, imageLabels, mediaTypes, type ImagePlatform } from "./image-plan.js";

/** What an image by Dockerfile is made of. */
export interface DockerfileImageParts {
  readonly template: string;
  readonly settings: ImageSettings;
  readonly command: readonly string[];
  /** Whether `command` is not the one of the settings. */
  readonly isCommandAsked: boolean;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
  /** How many of the layers are the base's. */
  readonly baseLayers: number;
  readonly platform: ImagePlatform;
}

/** The image's configuration (image-spec 1.1, config.md). What the platform's labels say, no Dockerfile does. */
export function dockerfileImageConfig(parts: DockerfileImageParts): Uint8Array {
  const { settings, command, template, platform, layers, baseLayers } = parts;
  const labels = new Map([
    ...[...settings.labels].filter(([name]) => !name.startsWith("io.dinp.")),
    [imageLabels.command, JSON.stringify(command)] as const,
    [imageLabels.requires, ""] as const,
    [imageLabels.template, template] as const,
  ]);
  const start = parts.isCommandAsked ? { entrypoint: [], cmd: command } : {};
  return encodeJson({
    created: EPOCH,
    architecture: platform.architecture,
    os: platform.os,
    config: configOf({ ...settings, ...start, labels }),
    rootfs: { type: "layers", diff_ids: parts.diffIds },
    history: layers.map((_, index) => ({
      created: EPOCH,
      created_by: index < baseLayers ? "base" : `dinp build --template ${template}`,
    })),
  });
}

/** The image's manifest (image-spec 1.1, manifest.md). */
export function dockerfileImageManifest(parts: DockerfileImageParts, config: Descriptor): Uint8Array {
  return encodeJson({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers: parts.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    annotations: { [imageLabels.template]: parts.template },
  });
}
