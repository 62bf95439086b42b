import { constants } from "node:fs";
import {
  chmod,
  copyFile,
  link,
  mkdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { dirname, extname, join, relative, resolve } from "node:path";

/** A module and what it imports by a relative path; a program of more files than this is not one of the platform's. */
const MODULE_FILES_MAX = 200;
const READ_AND_EXECUTE = 0o005;

/** Puts a binary under a second name, or a copy, where other users can execute it. */
export async function offerCopy(file: string, target: string): Promise<void> {
  const source = await stat(file);
  const present = await stat(target).catch(() => null);
  if (present?.size === source.size && Math.abs(present.mtimeMs - source.mtimeMs) < 1000) return;
  const temporary = `${target}.tmp`;
  await rm(temporary, { force: true });
  if ((source.mode & READ_AND_EXECUTE) !== READ_AND_EXECUTE || !(await tryLink(file, temporary))) {
    await copyFile(file, temporary, constants.COPYFILE_FICLONE);
    await chmod(temporary, 0o755);
    await utimes(temporary, source.atime, source.mtime);
  }
  await rename(temporary, target);
}

/** Gives a file that is within reach another name. */
export async function offerLink(file: string, target: string): Promise<void> {
  const temporary = `${target}.tmp`;
  await rm(temporary, { force: true });
  await symlink(file, temporary);
  await rename(temporary, target);
}

/**
 * Copies a module with all modules that it imports by relative paths to `targetDir`, keeping their places to each other, and
 * returns the copy's path. Modules of packages are not copied.
 */
export async function offerModule(file: string, targetDir: string): Promise<string> {
  const entry = await realpath(file);
  const texts = new Map<string, string>();
  const pending = [entry];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (texts.has(path) || texts.size >= MODULE_FILES_MAX) continue;
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (path === entry) throw error;
      return null;
    });
    // Text that only looks like an import.
    if (text === null) continue;
    texts.set(path, text);
    for (const specifier of relativeImports(text)) pending.push(resolve(dirname(path), specifier));
  }
  const root = commonFolder([...texts.keys()]);
  const temporary = `${targetDir}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  const isModule = /^(?:import|export)\b/m.test(texts.get(entry) ?? "") && extname(entry) === ".js";
  await makeOpenFolder(temporary);
  for (const [path, text] of texts) {
    const copy = join(temporary, relative(root, path));
    await makeOpenFolder(dirname(copy));
    await writeFile(copy, text);
    await chmod(copy, 0o644);
  }
  // The nearest package.json says how `.js` is to be read.
  await writeFile(
    join(temporary, "package.json"),
    JSON.stringify({ type: isModule ? "module" : "commonjs" }),
  );
  await chmod(join(temporary, "package.json"), 0o644);
  await rm(targetDir, { recursive: true, force: true });
  await rename(temporary, targetDir);
  return join(targetDir, relative(root, entry));
}

async function tryLink(file: string, target: string): Promise<boolean> {
  try {
    await link(file, target);
    return true;
  } catch {
    return false;
  }
}

function relativeImports(text: string): readonly string[] {
  const pattern = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "");
}

function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0] ?? "/");
  while (!files.every((file) => folder === "/" || file.startsWith(`${folder}/`))) folder = dirname(folder);
  return folder;
}

async function makeOpenFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o755);
}
