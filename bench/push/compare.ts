import { execFileSync } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readImage, type ImageRef } from "@dinp/core";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { treeDifferences } from "./tree-differences.js";

/**
 * How an image read back from its registry differs from its source, path by path, mode by mode, byte by byte; nothing
 * when it is the same. GNU tar unpacks the layers, so that the platform's own reader is not its own witness.
 */
export async function differences(
  source: string,
  registryDir: string,
  image: ImageRef,
  into: string,
): Promise<readonly string[]> {
  const root = join(into, "root");
  mkdirSync(root, { recursive: true });
  const registry = createOciLayoutRegistry({ dir: registryDir });
  const { layers } = await readImage(registry, image);
  const outside: string[] = [];
  for (const { digest, mediaType } of layers) {
    const file = join(into, "layer.tar");
    await pipeline(registry.readBlob(image.repository, digest), createWriteStream(file));
    const how = mediaType.endsWith("+gzip") ? ["-z"] : [];
    const names = execFileSync("tar", [...how, "-tPf", file, "--quoting-style=literal"], {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    for (const name of names.split("\n").slice(0, -1)) {
      if (name !== "app/" && !name.startsWith("app/")) outside.push(`${name} lies outside of app`);
      if (name.split("/").includes("..")) outside.push(`${name} climbs`);
    }
    execFileSync("tar", [...how, "-xpf", file, "-C", root]);
  }
  return [...outside, ...treeDifferences(source, join(root, "app"))];
}
