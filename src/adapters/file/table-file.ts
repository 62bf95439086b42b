import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DinpError, messageOf } from "@dinp/core";

/** The text of the file at one moment. */
export interface FileText {
  readonly text: string;
  readonly hash: string;
}

/** What tells one state of the file from another without reading it. */
export interface FileStamp {
  readonly text: string;
  readonly writtenAtMs: number;
}

const BYTES_MAX = 64 * 1024 * 1024;

/** One file that people and programs write. */
export class TableFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get folder(): string {
    return dirname(this.path);
  }

  get name(): string {
    return basename(this.path);
  }

  /** Null when there is no file or it cannot be seen. */
  async stamp(): Promise<FileStamp | null> {
    try {
      const { ino, size, mtimeNs, ctimeNs, mtimeMs } = await stat(this.path, { bigint: true });
      return { text: [ino, size, mtimeNs, ctimeNs].join(" "), writtenAtMs: Number(mtimeMs) };
    } catch {
      return null;
    }
  }

  /** `DINP_NOT_FOUND`, `DINP_TOO_LARGE` (over 64 MiB), `DINP_INVALID` (a folder or pipe, or not UTF-8), `DINP_UNAVAILABLE`. */
  async read(): Promise<FileText> {
    let handle: FileHandle;
    try {
      // Without waiting for a writer, should it be a pipe.
      handle = await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw readError(this.path, error);
    }
    try {
      const stats = await handle.stat({ bigint: true });
      if (!stats.isFile()) throw new DinpError("DINP_INVALID", "it is not a file");
      if (stats.size > BigInt(BYTES_MAX)) throw tooLarge(`it has ${String(stats.size)} bytes`);
      const bytes = await readAll(handle);
      const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      return { text, hash: hashOf(bytes) };
    } catch (error) {
      if (error instanceof DinpError) throw error;
      if (error instanceof TypeError)
        throw new DinpError("DINP_INVALID", "it is not UTF-8 text", { cause: error });
      throw readError(this.path, error);
    } finally {
      await handle.close();
    }
  }

  /**
   * Puts the text in place of the file, durably: a reader or a crash finds the old text or the new one. Its mode is
   * kept, and a symbolic link stays one. Gives the hash of the new text. `DINP_UNAVAILABLE`: the old text stands.
   */
  async replace(text: string): Promise<string> {
    try {
      const target = await realpath(this.path).catch(() => this.path);
      const mode = await stat(target).then(
        (stats) => stats.mode & 0o777,
        () => 0o644,
      );
      const temporary = join(dirname(target), `.${basename(target)}.dinp-tmp`);
      try {
        await writeSynced(temporary, text, mode);
        await rename(temporary, target);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncFolder(dirname(target));
      return hashOf(Buffer.from(text));
    } catch (error) {
      throw new DinpError(
        "DINP_UNAVAILABLE",
        `Cannot write the routes to ${this.path}: ${messageOf(error)}`,
        {
          retryable: true,
          cause: error,
          hint: "Check that the folder belongs to this user and that the disk is not full.",
        },
      );
    }
  }
}

/** All of the file, which may grow meanwhile. */
async function readAll(handle: FileHandle): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of handle.createReadStream({ autoClose: false, start: 0 })) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > BYTES_MAX) throw tooLarge("it grows as it is read");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(what: string): DinpError {
  return new DinpError("DINP_TOO_LARGE", `${what}, and ${String(BYTES_MAX)} bytes are allowed`);
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const handle = await open(path, "w", mode);
  try {
    await handle.chmod(mode);
    await handle.writeFile(text, "utf8");
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function readError(path: string, error: unknown): DinpError {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ENOENT" || code === "ENOTDIR")
    return new DinpError("DINP_NOT_FOUND", "there is no such file");
  return new DinpError(
    "DINP_UNAVAILABLE",
    `it cannot be read: ${messageOf(error).replace(`, open '${path}'`, "")}`,
    {
      retryable: true,
      cause: error,
    },
  );
}
