import { DinpError, type Descriptor, type ImageRef, type Registry } from "@dinp/core";
import { oneOf, tarOf, textFile, type ArchiveFile } from "./docker-archive.js";
import { listAt, numberAt, textAt, textsAt } from "./json.js";
import type { DockerImages, DockerImageTarget } from "./options.js";

const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

interface LoadableImage {
  readonly config: Uint8Array;
  readonly diffIds: readonly string[];
  readonly layers: readonly Descriptor[];
}

/**
 * Images that are loaded straight from a `Registry` into the engine, which then needs no registry: layers that it has are not
 * sent again. Of an index of several platforms, the engine's is taken.
 */
export function loadImages(registry: Registry): DockerImages {
  return {
    loads: true,
    bring: async (image, target) => {
      const loadable = await readImage(registry, image, target);
      const known = target.hasLayers(loadable.diffIds.slice(0, -1)) ? loadable.layers.length - 1 : 0;
      if (known > 0) {
        try {
          await target.load(archiveOf(registry, image, loadable, known, target));
          return;
        } catch (error) {
          // Somebody may have removed a layer since: then all are sent.
          if (!(error instanceof DinpError) || error.code !== "DINP_UNAVAILABLE") throw error;
          if (target.signal.aborted) throw error;
        }
      }
      await target.load(archiveOf(registry, image, loadable, 0, target));
    },
  };
}

async function* archiveOf(
  registry: Registry,
  { repository }: ImageRef,
  { config, layers }: LoadableImage,
  known: number,
  { name, signal }: DockerImageTarget,
): AsyncGenerator<Uint8Array, void, undefined> {
  const paths = layers.map(({ digest }, index) => `${String(index)}-${digest.slice(7, 19)}.tar`);
  const files = function* (): Generator<ArchiveFile, void, undefined> {
    yield { path: "config.json", size: config.length, bytes: oneOf(config) };
    const manifest = [{ Config: "config.json", RepoTags: [name], Layers: paths }];
    yield textFile("manifest.json", JSON.stringify(manifest));
    for (const [index, { digest, size }] of layers.entries()) {
      if (index < known) continue;
      yield { path: paths[index] ?? "", size, bytes: registry.readBlob(repository, digest, { signal }) };
    }
  };
  yield* tarOf(files());
}

async function readImage(
  registry: Registry,
  { repository, digest }: ImageRef,
  { architecture, signal }: DockerImageTarget,
): Promise<LoadableImage> {
  let manifest = await readJson(registry, repository, digest, signal);
  const platforms = listAt(manifest, "manifests");
  if (platforms.length > 0) {
    const fitting = platforms.find(
      (one) =>
        textAt(one, "platform", "os") === "linux" && textAt(one, "platform", "architecture") === architecture,
    );
    if (fitting === undefined)
      throw unusable(digest, `has nothing for linux/${architecture}`, "Push an image for this platform.");
    manifest = await readJson(registry, repository, textAt(fitting, "digest"), signal);
  }
  const layers = listAt(manifest, "layers").map((layer) => ({
    mediaType: textAt(layer, "mediaType"),
    digest: textAt(layer, "digest"),
    size: numberAt(layer, "size"),
  }));
  const config = await readSmall(registry, repository, textAt(manifest, "config", "digest"), signal);
  const diffIds = textsAt(JSON.parse(new TextDecoder().decode(config)), "rootfs", "diff_ids");
  if (layers.length === 0 || diffIds.length !== layers.length)
    throw unusable(digest, "is no image that can be run", "Name the manifest of a container image.");
  return { config, diffIds, layers };
}

async function readJson(
  registry: Registry,
  repository: string,
  digest: string,
  signal: AbortSignal,
): Promise<unknown> {
  const { bytes } = await registry.readManifest(repository, digest, { signal });
  return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
}

async function readSmall(
  registry: Registry,
  repository: string,
  digest: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of registry.readBlob(repository, digest, { signal })) {
    size += piece.length;
    if (size > CONFIG_BYTES_MAX) throw unusable(digest, "is too long for a configuration", "Push it again.");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function unusable(digest: string, why: string, hint: string): DinpError {
  return new DinpError("DINP_IMAGE_NOT_FOUND", `The image ${digest} ${why}.`, { hint });
}
