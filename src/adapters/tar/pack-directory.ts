import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { open, readFile, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { pipeline, Readable } from "node:stream";
import { DinpError, type ArchiveEntry, type ByteStream } from "@dinp/core";
import { defaultIgnorePatterns, IgnoreRules } from "./ignore-rules.js";
import { mapAhead } from "./map-ahead.js";
import { Pace } from "./pace.js";
import { identityOf, unreadable, walkDirectory, type WalkedEntry } from "./walk-directory.js";
import { WholeContent } from "./whole-content.js";
import { writeTar } from "./write-tar.js";

const READ_BYTES = 256 * 1024;
/** Files of no more than {@link READ_BYTES} are read before their turn: most of their time is waiting for the disk. */
const READ_AHEAD = 8;
const IGNORE_FILE = ".dinpignore";
const IGNORE_BYTES_MAX = 256 * 1024;

/** How far packing is; `bytes` and `totalBytes` count the files' own bytes, before compression. */
export interface PackProgress {
  readonly files: number;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface PackDirectoryOptions {
  /** Told after every file and every 256 KiB. */
  readonly onProgress?: (progress: PackProgress) => void;
  readonly signal?: AbortSignal;
  /** A folder whose files have at most so many bytes is given as a plain tar: quicker to send to the same machine. */
  readonly plainBytesMax?: number | undefined;
}

export interface PackedDirectory {
  /** The `.tar.gz` or `.tar`; read once, with back-pressure. */
  readonly bytes: ByteStream;
  /** Regular files, not folders or links. */
  readonly files: number;
  /** The files' own bytes, before compression. */
  readonly totalBytes: number;
}

/**
 * Walks a folder and gives it as a `.tar.gz` stream (`plainBytesMax`: or a `.tar`): the same tree gives the same bytes (names in byte order, no times,
 * no owners, modes 0755 or 0644). Symbolic links stay links. What `.dinpignore` (patterns as in `.gitignore`) matches
 * stays out, as do `.git` and `.dinp`.
 *
 * Errors: `DINP_NOT_FOUND` no such folder, `DINP_INVALID` with the path (not a folder, a socket or device, no permission,
 * a file that changed while it was read: then the stream rejects), `DINP_TOO_LARGE`, `DINP_ABORTED`.
 */
export async function packDirectory(
  dir: string,
  options: PackDirectoryOptions = {},
): Promise<PackedDirectory> {
  await assertDirectory(dir);
  const rules = new IgnoreRules([...defaultIgnorePatterns, ...(await ignoreLines(dir))]);
  const entries = await walkDirectory(dir, rules, options.signal);
  const regular = entries.filter((entry) => entry.type === "file");
  const totalBytes = regular.reduce((total, entry) => total + entry.size, 0);
  const tar = writeTar(archiveEntries(dir, entries, totalBytes, options), options.signal);
  const { plainBytesMax } = options;
  const isPlain = plainBytesMax !== undefined && totalBytes <= plainBytesMax;
  return { bytes: isPlain ? tar : gzip(tar), files: regular.length, totalBytes };
}

async function assertDirectory(dir: string): Promise<void> {
  const stats = await stat(dir).catch((cause: unknown) => {
    const hint = "Give the folder that holds the built app.";
    throw new DinpError("DINP_NOT_FOUND", `There is no folder ${JSON.stringify(dir)}.`, { cause, hint });
  });
  if (stats.isDirectory()) return;
  throw new DinpError("DINP_INVALID", `${JSON.stringify(dir)} is not a folder.`, {
    hint: "Give the folder that holds the built app.",
  });
}

async function ignoreLines(dir: string): Promise<readonly string[]> {
  const path = join(dir, IGNORE_FILE);
  try {
    const { size } = await stat(path);
    if (size <= IGNORE_BYTES_MAX) return (await readFile(path, "utf8")).split("\n");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw unreadable(IGNORE_FILE, error);
  }
  throw new DinpError("DINP_INVALID", `${IGNORE_FILE} is larger than ${String(IGNORE_BYTES_MAX)} bytes.`);
}

async function* archiveEntries(
  dir: string,
  entries: readonly WalkedEntry[],
  totalBytes: number,
  options: PackDirectoryOptions,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  let files = 0;
  let bytes = 0;
  const count = (newFiles: number, newBytes: number): void => {
    files += newFiles;
    bytes += newBytes;
    options.onProgress?.({ files, bytes, totalBytes });
  };
  const onRead = (read: number): void => {
    count(0, read);
  };
  const pace = new Pace();
  const readAhead = (entry: WalkedEntry): PackedEntry | Promise<PackedEntry> => readSmall(dir, entry, pace);
  for await (const some of mapAhead(entries, READ_AHEAD, readAhead)) {
    for (const { entry, whole } of some) {
      const { path, type, size, linkTarget } = entry;
      const mode = type === "symlink" ? 0o777 : type === "directory" || entry.executable ? 0o755 : 0o644;
      const content =
        whole === null ? counted(readUnchanged(dir, entry), onRead) : new WholeContent(whole, onRead);
      yield { path, type, mode, size, linkTarget, content };
      if (type === "file") count(1, 0);
    }
  }
}

interface PackedEntry {
  readonly entry: WalkedEntry;
  /** What a small file or anything else than a file holds; null for a large file. */
  readonly whole: Uint8Array | null;
}

const EMPTY = new Uint8Array(0);

function readSmall(dir: string, entry: WalkedEntry, pace: Pace): PackedEntry | Promise<PackedEntry> {
  if (entry.type !== "file") return { entry, whole: EMPTY };
  if (entry.size > READ_BYTES) return { entry, whole: null };
  return pace.call(
    () => ({ entry, whole: readInPlace(dir, entry) }),
    async () => {
      const whole = Buffer.allocUnsafe(entry.size);
      let done = 0;
      for await (const piece of readUnchanged(dir, entry)) {
        whole.set(piece, done);
        done += piece.length;
      }
      return { entry, whole };
    },
  );
}

const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** As {@link readUnchanged}, at once. */
function readInPlace(dir: string, entry: WalkedEntry): Uint8Array {
  const file = openInPlace(dir, entry);
  try {
    const bytes = Buffer.allocUnsafe(entry.size);
    for (let done = 0; done < bytes.length;) {
      const read = readSync(file, bytes, done, bytes.length - done, null);
      if (read === 0) throw changed(entry);
      done += read;
    }
    if (identityOf(fstatSync(file)) !== entry.identity) throw changed(entry);
    return bytes;
  } finally {
    closeSync(file);
  }
}

function openInPlace(dir: string, entry: WalkedEntry): number {
  try {
    return openSync(join(dir, entry.path), OPEN_FLAGS);
  } catch (error) {
    throw unreadable(entry.path, error);
  }
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    onRead(piece.length);
    yield piece;
  }
}

/** The file's bytes, exactly as many as were announced; rejects, at the latest at their end, when it is not the file that was walked. */
async function* readUnchanged(dir: string, entry: WalkedEntry): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(join(dir, entry.path), OPEN_FLAGS).catch((error: unknown) => {
    throw unreadable(entry.path, error);
  });
  try {
    for (let left = entry.size; left > 0;) {
      const buffer = Buffer.allocUnsafe(Math.min(left, READ_BYTES));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) throw changed(entry);
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    await assertUnchanged(file, entry);
  } finally {
    await file.close();
  }
}

async function assertUnchanged(file: FileHandle, entry: WalkedEntry): Promise<void> {
  if (identityOf(await file.stat()) !== entry.identity) throw changed(entry);
}

function changed(entry: WalkedEntry): DinpError {
  return new DinpError("DINP_INVALID", `${JSON.stringify(entry.path)} changed while it was packed.`, {
    retryable: true,
    hint: "Wait until nothing writes to the folder, then push again; list logs and caches in .dinpignore.",
    details: { path: entry.path },
  });
}

/** Gzip at its fastest level. Node writes no time into the header. */
async function* gzip(bytes: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
  const { constants: levels, createGzip } = await import("node:zlib");
  const zipped = createGzip({ level: levels.Z_BEST_SPEED, chunkSize: 64 * 1024 });
  const source = Readable.from(bytes, { objectMode: false });
  pipeline(source, zipped, () => undefined);
  try {
    for await (const chunk of zipped) {
      if (chunk instanceof Uint8Array) yield chunk;
    }
  } finally {
    zipped.destroy();
    source.destroy();
  }
}
