import { randomBytes } from "node:crypto";
import {
  copyFile,
  constants,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  type FileHandle,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf } from "./errors.js";
import { WriteBehind } from "./write-behind.js";

const TEMPORARY = /^part-([0-9]+)-[0-9a-f]{16}$/;
/** Temporary files that are being written by this process, whichever registry object writes them. */
const inUse = new Set<string>();

/** Makes a folder and its parents, and their names durable. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let at = path; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at));
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A file that is invisible until it is whole: filled first, then moved to its name, or removed. */
export class TemporaryFile {
  readonly #path: string;
  readonly #content: WriteBehind;
  #handle: FileHandle | null;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
    this.#content = new WriteBehind(handle);
  }

  static async create(folder: string): Promise<TemporaryFile> {
    const path = join(folder, `part-${String(process.pid)}-${randomBytes(8).toString("hex")}`);
    inUse.add(path);
    try {
      return new TemporaryFile(path, await open(path, "wx", 0o600));
    } catch (error) {
      inUse.delete(path);
      throw error;
    }
  }

  /** Adds bytes, which must not change any more; they are written behind the caller's back. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#handle === null) throw new TypeError("The file was closed.");
    await this.#content.write(bytes);
  }

  /** Puts the content on disk. */
  async finish(): Promise<void> {
    await this.#content.sync();
    await this.#close();
  }

  /** Gives the finished file its name, atomically and durably; replaces what had that name. */
  async moveTo(path: string): Promise<void> {
    await rename(this.#path, path);
    inUse.delete(this.#path);
    await syncFolder(dirname(path));
  }

  /** Removes the file unless it was moved. Idempotent. */
  async discard(): Promise<void> {
    await this.#close();
    if (inUse.delete(this.#path)) await rm(this.#path, { force: true });
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await this.#content.settle();
    await handle?.close();
  }
}

/** Replaces a small file atomically and durably. */
export async function replaceFile(temporaryFolder: string, path: string, bytes: Uint8Array): Promise<void> {
  const file = await TemporaryFile.create(temporaryFolder);
  try {
    await file.write(bytes);
    await file.finish();
    await file.moveTo(path);
  } finally {
    await file.discard();
  }
}

/**
 * Gives an existing file a second name without copying its bytes; false when it is not there. Where the file system
 * has no (more) hard links, a copy stands in, which shares the bytes where the file system can.
 */
export async function linkFile(temporaryFolder: string, from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST") return true;
    if (code === "ENOENT") return false;
    if (code !== "EMLINK" && code !== "EPERM" && code !== "ENOTSUP" && code !== "EXDEV") throw error;
    await copyDurably(temporaryFolder, from, to);
  }
  await syncFolder(dirname(to));
  return true;
}

async function copyDurably(temporaryFolder: string, from: string, to: string): Promise<void> {
  const copy = join(temporaryFolder, `part-${String(process.pid)}-${randomBytes(8).toString("hex")}`);
  inUse.add(copy);
  try {
    await copyFile(from, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    const handle = await open(copy, "r");
    await handle.sync().finally(() => handle.close());
    await rename(copy, to);
  } finally {
    inUse.delete(copy);
    await rm(copy, { force: true });
  }
}

/** Removes temporary files that no living process is writing; what is not named like one is left alone. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = Number(TEMPORARY.exec(name)?.[1] ?? NaN);
    const path = join(folder, name);
    if (Number.isNaN(pid) || inUse.has(path) || (pid !== process.pid && isAlive(pid))) continue;
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}
