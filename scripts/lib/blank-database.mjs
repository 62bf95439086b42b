import {
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pipeline } from "node:stream/promises";
import { pathToFileURL } from "node:url";

/**
 * Packs a database as the installed PGlite makes it beside the built adapter, which unpacks it wherever one is needed. Making one takes
 * seconds of processor time, so it is kept for the next build.
 *
 * @param {string} root
 */
export async function packBlankDatabase(root) {
  const driver = join(root, "node_modules/@electric-sql/pglite");
  const { version } = JSON.parse(readFileSync(join(driver, "package.json"), "utf8"));
  const name = `blank-${version}.tar.gz`;
  const kept = join(root, ".cache/blank-database", name);
  if (!existsSync(kept)) await make(root, driver, kept);
  copyFileSync(kept, join(root, "dist/adapters/pglite", name));
}

/**
 * @param {string} root
 * @param {string} driver
 * @param {string} target
 */
async function make(root, driver, target) {
  const folder = mkdtempSync(join(tmpdir(), "dinp-blank-"));
  try {
    const { PGlite } = await import(pathToFileURL(join(driver, "dist/index.js")).href);
    const database = await PGlite.create(join(folder, "pg"));
    await database.close();
    const { packDirectory } = await import(pathToFileURL(join(root, "dist/adapters/tar/index.js")).href);
    const { bytes } = await packDirectory(join(folder, "pg"));
    mkdirSync(join(target, ".."), { recursive: true });
    const unfinished = `${target}.${String(process.pid)}`;
    await pipeline(bytes, createWriteStream(unfinished));
    renameSync(unfinished, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
