import { type ByteStream, DinpError, messageOf } from "@dinp/core";
import { createTarArchive } from "@dinp/core/tar";
import { closeSync, createReadStream, mkdirSync, openSync, writeSync } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = "@dinp/core";
const DRIVER = "@electric-sql/pglite";
const BYTES_MAX = 256 * 1024 ** 2;
const ENTRIES_MAX = 10_000;

/**
 * Where this package has a database as this machine's version of PGlite makes it, packed when the package was built: to unpack it takes
 * a small part of the processor time that making one does. Null when there is none of that version, and when it cannot be told, as in
 * a program that this was bundled into.
 */
export async function findBlankDatabase(): Promise<string | null> {
  return await findByVersion().catch(() => null);
}

async function findByVersion(): Promise<string | null> {
  const home = await packageOf(fileURLToPath(import.meta.url), PACKAGE);
  const driver = await packageOf(createRequire(import.meta.url).resolve(DRIVER), DRIVER);
  if (home === null || driver === null) return null;
  const path = join(home.folder, "dist/adapters/pglite", `blank-${driver.version}.tar.gz`);
  await access(path);
  return path;
}

/** Unpacks the database into an empty folder, for its owner only. `DINP_UNAVAILABLE`. */
export async function unpackBlankDatabase(path: string, folder: string): Promise<void> {
  try {
    await unpack(path, folder);
  } catch (error) {
    throw new DinpError("DINP_UNAVAILABLE", `${path} cannot be unpacked to ${folder}: ${messageOf(error)}`, {
      hint: "See that the folder has space left; if it has, install this package anew.",
      cause: error,
    });
  }
}

async function unpack(path: string, folder: string): Promise<void> {
  const limits = { format: "tar.gz", maxBytes: BYTES_MAX, maxEntries: ENTRIES_MAX } as const;
  for await (const { path: name, type, content } of createTarArchive().read(createReadStream(path), limits)) {
    const target = join(folder, name);
    if (type === "directory") mkdirSync(target, { recursive: true, mode: 0o700 });
    else await writeOut(content, target);
  }
}

/** In place: of hundreds of small files each would otherwise be several trips to other threads. */
async function writeOut(content: ByteStream, target: string): Promise<void> {
  const file = openSync(target, "wx", 0o600);
  try {
    for await (const bytes of content) for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
  } finally {
    closeSync(file);
  }
}

/** The package of that name that a file belongs to. */
async function packageOf(
  path: string,
  name: string,
): Promise<{ readonly folder: string; readonly version: string } | null> {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const text = await readFile(join(folder, "package.json"), "utf8").catch(() => null);
    if (text === null) continue;
    const found = JSON.parse(text) as { readonly name?: string; readonly version?: string };
    if (found.name === name && found.version !== undefined) return { folder, version: found.version };
  }
  return null;
}
