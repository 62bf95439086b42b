import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  combineArchives,
  createBuilder,
  type Archive,
  type Builder,
  type BuilderLimits,
  type BuilderOptions,
  type Registry,
} from "@dinp/core";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { createSingleFileReader, createZipReader } from "@dinp/core/zip";
import { pack, type Header } from "tar-stream";

/** An entry for {@link makeTar}: any header that tar-stream writes, however hostile. */
export type TestEntry = Partial<Header> & { readonly name: string; readonly content?: string | Uint8Array };

/** A tar made by another writer than the one under test. */
export async function makeTar(entries: readonly TestEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = "", ...header } of entries) {
    const isFile = header.type === undefined || header.type === "file";
    if (isFile)
      tar.entry(
        { mtime: new Date(0), ...header },
        typeof content === "string" ? content : Buffer.from(content),
      );
    else tar.entry({ mtime: new Date(0), ...header });
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export async function makeTarGz(entries: readonly TestEntry[]): Promise<Buffer> {
  return gzipSync(await makeTar(entries));
}

/** Mends the checksum of the header at `offset` after a change to it. */
export function sealHeader(tar: Buffer, offset = 0): Buffer {
  tar.fill(0x20, offset + 148, offset + 156);
  const sum = tar.subarray(offset, offset + 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, offset + 148, "latin1");
  return tar;
}

export async function* stream(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface Workshop extends AsyncDisposable {
  readonly dir: string;
  readonly registry: Registry;
  readonly archive: Archive;
  readonly builder: Builder;
}

/** A builder of real parts in a folder of its own. */
export async function openWorkshop(
  limits: Partial<BuilderLimits> = {},
  more: Partial<Pick<BuilderOptions, "compressor" | "templates" | "bases" | "steps" | "registry">> = {},
): Promise<Workshop> {
  const dir = await mkdtemp(join(tmpdir(), "dinp-build-"));
  const registry = more.registry ?? createOciLayoutRegistry({ dir: join(dir, "registry") });
  const spool = { dir: join(dir, "uploads") };
  const archive = combineArchives(createTarArchive(), {
    zip: createZipReader(spool),
    file: createSingleFileReader(spool),
  });
  const builder = createBuilder({
    archive,
    hasher: createNodeHasher(),
    clock: createSystemClock(),
    parseYaml,
    limits,
    ...more,
    registry,
  });
  return {
    dir,
    registry,
    archive,
    builder,
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

export function run(command: string, args: readonly string[], cwd?: string): Buffer {
  return execFileSync(command, args, { cwd, maxBuffer: 512 * 1024 * 1024 });
}
