import { DinpError } from "@dinp/core";
import type { Entry, ZipFile } from "yauzl";
import { kindOf, nameOf, type Member } from "./member.js";
import { damaged, refusal, shown } from "./refusal.js";
import type { WindowedFile } from "./windowed-file.js";

export interface DirectoryBounds {
  readonly maxBytes: number;
  readonly maxEntries: number;
  readonly signal: AbortSignal | undefined;
}

/** Beyond this size, an archive that grows by more than this factor is a bomb, not an app. */
const RATIO_FREE_BYTES = 64 * 1024 * 1024;
const RATIO_MAX = 200;
const ENCRYPTED_BITS = 0x1 | 0x40 | 0x2000;
const STORED = 0;
const DEFLATED = 8;
const DIRECTORY_HEADER = 0x02014b50;

/**
 * All entries of a zip in the order in which they lie in it, before any is unpacked. `DINP_ARCHIVE_REFUSED`: more entries
 * or bytes than allowed, or a growth of more than 200-fold beyond 64 MiB; two entries of one name; entries that share
 * bytes; a header that disagrees with the directory; encryption, unknown compression, names that are not UTF-8.
 */
export async function readDirectory(
  zip: ZipFile,
  file: WindowedFile,
  bounds: DirectoryBounds,
): Promise<readonly Member[]> {
  const totals = new Totals(zip, bounds);
  const members: Member[] = [];
  const directoryStart = cursorOf(zip);
  let last: string | null = null;
  try {
    for await (const entry of zip.eachEntry()) {
      if (bounds.signal?.aborted === true) {
        throw new DinpError("DINP_ABORTED", "Reading the archive was aborted.");
      }
      const path = checkName(entry, last);
      last = path;
      checkReadable(entry, path);
      totals.add(entry, path);
      members.push(await locate(zip, entry, path));
    }
  } catch (error) {
    throw damaged(error, last);
  }
  await assertNoMore(zip, file);
  return inOrder(members, directoryStart);
}

function checkName(entry: Entry, before: string | null): string {
  const path = nameOf(entry);
  if (path !== null) return path;
  const near = before === null ? "its first entry" : `the entry after ${shown(before)}`;
  throw refusal(`The name of ${near} is not UTF-8`, before);
}

function checkReadable(entry: Entry, path: string): void {
  if ((entry.generalPurposeBitFlag & ENCRYPTED_BITS) !== 0) {
    throw refusal(`The archive's entry ${shown(path)} is encrypted`, path);
  }
  if (entry.compressionMethod === STORED || entry.compressionMethod === DEFLATED) return;
  const method = String(entry.compressionMethod);
  throw refusal(
    `The archive's entry ${shown(path)} is compressed by method ${method}, which is not read here`,
    path,
  );
}

/** Where the entry's data is, by its own header, which must say the same name. */
async function locate(zip: ZipFile, entry: Entry, path: string): Promise<Member> {
  const header = await zip.readLocalFileHeaderPromise(entry);
  if (!header.fileName.equals(entry.fileNameRaw)) {
    throw refusal(`The archive's entry ${shown(path)} has another name in its own header`, path);
  }
  if (header.compressionMethod !== entry.compressionMethod) {
    throw refusal(`The archive's entry ${shown(path)} has another compression in its own header`, path);
  }
  return {
    path,
    ...kindOf(entry, path),
    size: entry.uncompressedSize,
    compressedSize: entry.compressedSize,
    isCompressed: entry.compressionMethod === DEFLATED,
    crc32: entry.crc32,
    headerStart: entry.relativeOffsetOfLocalHeader,
    dataStart: header.fileDataStart,
  };
}

/** A directory that goes on behind the entries that it counts means something else to other programs. */
async function assertNoMore(zip: ZipFile, file: WindowedFile): Promise<void> {
  const header = Buffer.alloc(4);
  const end = cursorOf(zip);
  if (end + header.length > zip.fileSize) return;
  await file.readAt(header, end);
  if (header.readUInt32LE(0) !== DIRECTORY_HEADER) return;
  throw refusal("The archive has more entries than it says", null);
}

/** In the order of their places; entries that share bytes could mean anything, or be a bomb. */
function inOrder(members: readonly Member[], directoryStart: number): readonly Member[] {
  const sorted = [...members].sort((a, b) => a.headerStart - b.headerStart);
  let end = 0;
  for (const member of sorted) {
    if (member.headerStart < end) {
      throw refusal(`The archive's entry ${shown(member.path)} shares bytes with another one`, member.path);
    }
    end = member.dataStart + member.compressedSize;
    if (end <= directoryStart) continue;
    throw refusal(
      `The archive's entry ${shown(member.path)} reaches into the archive's directory`,
      member.path,
    );
  }
  return sorted;
}

/** Counts entries, names and bytes against their bounds. */
class Totals {
  readonly #bounds: DirectoryBounds;
  readonly #fileSize: number;
  readonly #paths = new Set<string>();
  #bytes = 0;

  constructor(zip: ZipFile, bounds: DirectoryBounds) {
    this.#bounds = bounds;
    this.#fileSize = zip.fileSize;
    if (zip.entryCount > bounds.maxEntries) {
      throw refusal(`The archive has more than ${String(bounds.maxEntries)} entries`, null);
    }
  }

  add(entry: Entry, path: string): void {
    if (this.#paths.has(path)) throw refusal(`The archive has the entry ${shown(path)} twice`, path);
    this.#paths.add(path);
    this.#bytes += entry.uncompressedSize;
    const { maxBytes } = this.#bounds;
    const at = `(reached at ${shown(path)})`;
    if (this.#bytes > maxBytes) {
      throw refusal(`The archive unpacks to more than ${String(maxBytes)} bytes ${at}`, path);
    }
    if (this.#bytes < RATIO_FREE_BYTES || this.#bytes <= this.#fileSize * RATIO_MAX) return;
    throw refusal(`The archive unpacks to more than ${String(RATIO_MAX)} times its size ${at}`, path);
  }
}

/** Where the reader is in the directory; its type declarations say otherwise. */
function cursorOf(zip: ZipFile): number {
  const cursor: unknown = Reflect.get(zip, "readEntryCursor");
  if (typeof cursor === "number") return cursor;
  throw new TypeError("This version of yauzl does not say where it reads.");
}
