import { describe, expect, it } from "vitest";
import { resolvePlatform, type NodePlatform, type Registry } from "@dinp/core";
import { createMemoryRegistry } from "@dinp/core/memory";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { stream } from "./support.js";

const repository = "apps/hello";
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const dockerListType = "application/vnd.docker.distribution.manifest.list.v2+json";

function open(): Registry {
  return createMemoryRegistry({ hasher: createNodeHasher(), clock: createSystemClock() });
}

async function putManifest(registry: Registry, name: string): Promise<string> {
  const config = await registry.writeBlob(repository, stream(Buffer.from(JSON.stringify({ name }))));
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: "x", ...config },
    layers: [],
  };
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  return (await registry.writeManifest(repository, { mediaType: manifestType, bytes })).digest;
}

type Entry = Partial<NodePlatform> | null;

/** An index with an image for each entry, and what each one's digest is. */
async function putIndex(
  registry: Registry,
  entries: readonly Entry[],
  mediaType = indexType,
): Promise<{ readonly digest: string; readonly images: readonly string[] }> {
  const images: string[] = [];
  for (const index of entries.keys()) images.push(await putManifest(registry, `image ${String(index)}`));
  const manifests = entries.map((platform, index) => ({
    mediaType: manifestType,
    digest: images[index],
    size: 100,
    ...(platform === null ? {} : { platform }),
  }));
  const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const { digest } = await registry.writeManifest(repository, { mediaType, bytes });
  return { digest, images };
}

const linux = (architecture: string, variant?: string): NodePlatform => ({
  os: "linux",
  architecture,
  ...(variant === undefined ? {} : { variant }),
});

describe("the image for a node", () => {
  it("is an image that is no index itself", async () => {
    const registry = open();
    const digest = await putManifest(registry, "one");
    expect(await resolvePlatform(registry, { repository, digest }, linux("amd64"))).toEqual({
      repository,
      digest,
    });
  });

  it.each([
    ["the only one of its processor", [linux("arm64"), linux("amd64")], linux("amd64"), 1],
    [
      "not one of another system",
      [{ os: "windows", architecture: "amd64" }, linux("amd64")],
      linux("amd64"),
      1,
    ],
    [
      "the highest variant that runs",
      [linux("arm", "v5"), linux("arm", "v7"), linux("arm", "v6")],
      linux("arm", "v6"),
      2,
    ],
    ["a lower variant when there is no other", [linux("arm", "v5")], linux("arm", "v7"), 0],
    ["not a higher variant", [linux("amd64", "v3"), linux("amd64")], linux("amd64"), 1],
    [
      "the higher variant on a machine that has it",
      [linux("amd64"), linux("amd64", "v3")],
      linux("amd64", "v3"),
      1,
    ],
    ["the same with and without the usual variant", [linux("arm64", "v8")], linux("arm64"), 0],
    ["the first of several alike", [linux("amd64"), linux("amd64")], linux("amd64"), 0],
    [
      "not an attestation, nor one without a platform",
      [null, linux("unknown"), linux("amd64")],
      linux("amd64"),
      2,
    ],
  ] as const)("is %s", async (_, entries, node, expected) => {
    for (const type of [indexType, dockerListType]) {
      const registry = open();
      const { digest, images } = await putIndex(registry, entries, type);
      expect(await resolvePlatform(registry, { repository, digest }, node)).toEqual({
        repository,
        digest: images[expected],
      });
    }
  });

  it("is none when no image runs there; the error names those that there are", async () => {
    const registry = open();
    const { digest } = await putIndex(registry, [linux("arm64"), linux("arm", "v7")]);
    await expect(resolvePlatform(registry, { repository, digest }, linux("amd64"))).rejects.toMatchObject({
      code: "DINP_IMAGE_NOT_FOUND",
      hint: "It has some for linux/arm/v7, linux/arm64.",
    });
  });
});
