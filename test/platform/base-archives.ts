import { createHash } from "node:crypto";
import { mediaTypes } from "@dinp/core";
import { makeTar, type TestEntry } from "../build/support.js";

/** Images as other tools write them into tars. */

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export interface SavedImage {
  readonly layers: readonly Buffer[];
  readonly config: Buffer;
}

/** A small Debian-like image of two layers. */
export async function savedImage(config: object = {}, architecture = "amd64"): Promise<SavedImage> {
  const layers = [
    await makeTar([{ name: "bin/tool", content: "#!/bin/sh\n", mode: 0o755 }]),
    await makeTar([{ name: "etc/os-release", content: "ID=test\n" }]),
  ];
  const diff_ids = layers.map((layer) => `sha256:${sha256(layer)}`);
  const text = { architecture, os: "linux", config, rootfs: { type: "layers", diff_ids } };
  return { layers, config: Buffer.from(JSON.stringify(text)) };
}

export function ociManifest({ layers, config }: SavedImage): Buffer {
  const describe = (mediaType: string, bytes: Buffer): object => ({
    mediaType,
    digest: `sha256:${sha256(bytes)}`,
    size: bytes.length,
  });
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: describe(mediaTypes.config, config),
      layers: layers.map((layer) => describe(mediaTypes.layerTar, layer)),
    }),
  );
}

export function blobEntries(blobs: readonly Buffer[]): TestEntry[] {
  return [...new Map(blobs.map((blob) => [sha256(blob), blob]))].map(([digest, content]) => ({
    name: `blobs/sha256/${digest}`,
    content,
  }));
}

/** The entries of an OCI image layout; an index over `indexes` of manifests when there are several. */
export function ociLayout(
  images: readonly SavedImage[],
  describe: (manifest: Buffer, position: number) => object = () => ({}),
): TestEntry[] {
  const manifests = images.map(ociManifest);
  const index = {
    schemaVersion: 2,
    manifests: manifests.map((manifest, position) => ({
      mediaType: mediaTypes.manifest,
      digest: `sha256:${sha256(manifest)}`,
      size: manifest.length,
      ...describe(manifest, position),
    })),
  };
  return [
    { name: "blobs/", type: "directory" },
    ...blobEntries([...images.flatMap(({ layers, config }) => [...layers, config]), ...manifests]),
    { name: "index.json", content: JSON.stringify(index) },
    { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
  ];
}

/** What `docker save` writes since version 25: a layout, and its own list besides. */
export function newDockerSave(image: SavedImage): TestEntry[] {
  const blob = (bytes: Buffer): string => `blobs/sha256/${sha256(bytes)}`;
  const list = [{ Config: blob(image.config), RepoTags: ["x:1"], Layers: image.layers.map(blob) }];
  return [...ociLayout([image]), { name: "manifest.json", content: JSON.stringify(list) }];
}

/** What `docker save` wrote before: a folder for each layer, where a layer that was there already is a link. */
export function oldDockerSave(image: SavedImage, tags: readonly string[] = ["x:1"]): TestEntry[] {
  const config = `${sha256(image.config)}.json`;
  const folders = image.layers.map((layer, position) => sha256(`${String(position)} ${sha256(layer)}`));
  const entries = image.layers.flatMap((layer, position): TestEntry[] => {
    const folder = folders[position] ?? "";
    const first = image.layers.findIndex((other) => other.equals(layer));
    const target = `../${folders[first] ?? ""}/layer.tar`;
    return [
      { name: `${folder}/`, type: "directory" },
      { name: `${folder}/VERSION`, content: "1.0" },
      { name: `${folder}/json`, content: "{}" },
      first === position
        ? { name: `${folder}/layer.tar`, content: layer }
        : { name: `${folder}/layer.tar`, type: "symlink", linkname: target },
    ];
  });
  const Layers = folders.map((folder) => `${folder}/layer.tar`);
  return [
    ...entries,
    { name: config, content: image.config },
    { name: "manifest.json", content: JSON.stringify([{ Config: config, RepoTags: tags, Layers }]) },
    { name: "repositories", content: "{}" },
  ];
}
