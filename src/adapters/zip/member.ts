import { crc32 } from "node:zlib";
import type { ArchiveEntry } from "@dinp/core";
import { getFileNameLowLevel, type Entry } from "yauzl";

/** What the directory of a zip says of one entry, checked against the entry's own header. */
export interface Member {
  readonly path: string;
  readonly type: ArchiveEntry["type"];
  /** Permission bits. */
  readonly mode: number;
  readonly size: number;
  readonly compressedSize: number;
  readonly isCompressed: boolean;
  readonly crc32: number;
  /** Where the entry's header begins, and where its data does. */
  readonly headerStart: number;
  readonly dataStart: number;
}

/** Hosts whose external attributes hold a mode (APPNOTE.TXT 4.4.2): Unix and macOS. */
const UNIX_HOSTS: readonly number[] = [3, 19];
const DOS_HOST = 0;
const TYPE_MASK = 0o170000;
const UNICODE_PATH_FIELD = 0x7075;

/**
 * The name of an entry; null when it is not UTF-8. Names are taken for UTF-8 whether their entry says so (APPNOTE.TXT
 * 4.4.4, bit 11) or not: it is what all systems of today write, and what code page 437 would be is anyone's guess. The
 * backslashes of DOS and Windows are slashes.
 */
export function nameOf(entry: Entry): string | null {
  const name = unicodeName(entry) ?? decodeUtf8(entry.fileNameRaw);
  return name === null || entry.versionMadeBy >>> 8 !== DOS_HOST ? name : name.replaceAll("\\", "/");
}

/** Info-ZIP's own field for names in UTF-8, whose checksum must be that of the plain name. */
function unicodeName(entry: Entry): string | null {
  const isGiven = entry.extraFields.some(({ id }) => id === UNICODE_PATH_FIELD);
  if (!isGiven) return null;
  const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
  return name.includes("\uFFFD") ? null : name;
}

export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Type and permission bits; without a Unix mode, folders are known by the slash behind their name. */
export function kindOf(entry: Entry, path: string): Pick<Member, "type" | "mode"> {
  const isUnix = UNIX_HOSTS.includes(entry.versionMadeBy >>> 8);
  const attributes = isUnix ? entry.externalFileAttributes >>> 16 : 0;
  const mode = attributes & 0o7777;
  switch (attributes & TYPE_MASK) {
    case 0o040000:
      return { type: "directory", mode };
    case 0o100000:
      return { type: "file", mode };
    case 0o120000:
      return { type: "symlink", mode };
    case 0:
      return path.endsWith("/") && entry.uncompressedSize === 0
        ? { type: "directory", mode: mode === 0 ? 0o755 : mode }
        : { type: "file", mode: mode === 0 ? 0o644 : mode };
    default:
      return { type: "other", mode };
  }
}

/** A running CRC-32, as zips have it. */
export class Checksum {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  update(bytes: Uint8Array): void {
    this.#value = crc32(bytes, this.#value);
  }
}
