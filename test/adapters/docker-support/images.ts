import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import type { ArchiveEntry, Descriptor, ImageRef, Registry } from "@dinp/core";
import { createTarArchive } from "@dinp/core/tar";
import { collect } from "../oci-support/images.js";

const execute = promisify(execFile);

export const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const CACHE = fileURLToPath(new URL("../../../.cache/docker-tests", import.meta.url));

/** A layer on disk. */
export interface LayerFile {
  readonly path: string;
  readonly digest: string;
  readonly size: number;
}

let base: Promise<LayerFile> | null = null;

/** Node and the libraries that it names, from this machine: assembled once for all tests of it. */
export function nodeLayer(): Promise<LayerFile> {
  base ??= makeNodeLayer();
  return base;
}

async function makeNodeLayer(): Promise<LayerFile> {
  const path = join(CACHE, `node-${process.version}-${process.arch}.tar`);
  const known = await readFile(`${path}.json`, "utf8").catch(() => null);
  if (known !== null) return { path, ...(JSON.parse(known) as Omit<LayerFile, "path">) };
  const { stdout } = await execute("ldd", [process.execPath]);
  const libraries = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, library]) => library ?? "");
  const bytes = await tarOf([
    { path: "usr/bin/node", bytes: await readFile(process.execPath), mode: 0o755 },
    ...(await Promise.all(
      libraries.map(async (library) => ({
        path: library.slice(1),
        bytes: await readFile(library),
        mode: 0o755,
      })),
    )),
  ]);
  const layer = { digest: sha256(bytes), size: bytes.length };
  await mkdir(CACHE, { recursive: true });
  const own = `${path}.${String(process.pid)}`;
  await writeFile(own, bytes);
  await rename(own, path);
  await writeFile(`${own}.json`, JSON.stringify(layer));
  await rename(`${own}.json`, `${path}.json`);
  return { path, ...layer };
}

export interface TarFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly mode: number;
}

export async function tarOf(files: readonly TarFile[]): Promise<Buffer> {
  const entries = async function* (): AsyncGenerator<ArchiveEntry> {
    for (const { path, bytes, mode } of files) {
      const content = (async function* () {
        yield await Promise.resolve(bytes);
      })();
      yield { path, mode, size: bytes.length, type: "file", linkTarget: null, content };
    }
  };
  return collect(createTarArchive().write(entries()));
}

/** Puts an image of these layers into the registry, the lowest layer first. */
export async function putLayers(
  registry: Registry,
  repository: string,
  layers: readonly (LayerFile | Uint8Array)[],
  config: Readonly<Record<string, unknown>> = {},
): Promise<ImageRef & { readonly layers: readonly Descriptor[]; readonly manifest: Uint8Array }> {
  const put = async (mediaType: string, layer: LayerFile | Uint8Array): Promise<Descriptor> => {
    const bytes = layer instanceof Uint8Array ? Uint8Array.from(layer) : null;
    if (bytes === null && "digest" in layer && (await registry.hasBlob(repository, layer.digest)))
      return { mediaType, digest: layer.digest, size: layer.size };
    const stream = bytes === null && "path" in layer ? createReadStream(layer.path) : oneOf(bytes);
    return { mediaType, ...(await registry.writeBlob(repository, stream)) };
  };
  const written: Descriptor[] = [];
  for (const layer of layers) written.push(await put(LAYER_TYPE, layer));
  const configBytes = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { WorkingDir: "/app", Env: ["PATH=/usr/local/bin:/usr/bin:/bin"], ...config },
      rootfs: { type: "layers", diff_ids: written.map(({ digest }) => digest) },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: await put(CONFIG_TYPE, configBytes),
      layers: written,
    }),
  );
  const { digest } = await registry.writeManifest(repository, { mediaType: MANIFEST_TYPE, bytes: manifest });
  return { repository, digest, layers: written, manifest };
}

async function* oneOf(bytes: Uint8Array | null): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes ?? new Uint8Array(0));
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
