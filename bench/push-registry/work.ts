import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBuilder, type BaseSource, type ImageRef } from "@dinp/core";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createOciRegistry } from "@dinp/core/oci";
import { createFileSpool, createNodeHasher, createSystemClock, createSystemRandom } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";

export type Compression = "none" | "gzip";

/** Builds the archive onto the base `bases/node:v1` of the registry, into the registry, as `dinp up --registry` does. */
export async function buildIntoRegistry(
  archive: string,
  url: string,
  compression: Compression,
): Promise<ImageRef> {
  const clock = createSystemClock();
  const spoolDir = mkdtempSync(join(tmpdir(), "dinp-bench-spool-"));
  const spool = createFileSpool({ dir: spoolDir });
  const registry = createOciRegistry({
    url,
    clock,
    random: createSystemRandom(),
    plainHttp: true,
    spool,
  });
  try {
    const digest = await registry.resolve("bases/node", "v1");
    if (digest === null) throw new Error("The base image is not in the registry.");
    const bases: BaseSource = {
      find: () => Promise.resolve({ repository: "bases/node", digest }),
      names: () => Promise.resolve(["node"]),
    };
    const builder = createBuilder({
      registry,
      spool,
      bases,
      archive: createTarArchive(),
      hasher: createNodeHasher(),
      clock,
      parseYaml: async (text) => (await import("@dinp/core/yaml")).parseYaml(text),
      platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch },
      ...(compression === "gzip" ? { compressor: createGzipCompressor() } : {}),
    });
    const { image } = await builder.build({
      repository: `apps/${compression}`,
      bytes: createReadStream(archive, { highWaterMark: 256 * 1024 }),
      format: "tar.gz",
      base: "node",
      tag: "v1",
    });
    return image;
  } finally {
    await registry.close();
    rmSync(spoolDir, { recursive: true });
  }
}
