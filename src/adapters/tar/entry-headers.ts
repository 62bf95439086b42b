import type { Buffer } from "node:buffer";
import type { ArchiveEntry } from "@dinp/core";
import type { ByteReader } from "./byte-reader.js";
import { blockBytes, decodeHeader, textAt, type DecodedHeader, type HeaderKind } from "./decode-header.js";
import { paddingOf } from "./header.js";
import { decodePaxRecords, noPaxRecords, type PaxRecords } from "./pax-records.js";
import type { ReadMeter } from "./read-meter.js";

/** A PAX header or a long name; far more than any file system takes. */
const EXTENSION_BYTES_MAX = 4 * 1024 * 1024;

/** One entry as its headers together say. */
export interface EntryHeader {
  readonly path: string;
  readonly type: ArchiveEntry["type"];
  readonly mode: number;
  readonly linkTarget: string | null;
  /** What follows the header, without the padding, whatever the type; NaN when the header has no such number. */
  readonly contentBytes: number;
}

/** Reads the headers of a tar's entries; the reader must be behind an entry's content and padding at each call. */
export class EntryHeaders {
  readonly #reader: ByteReader;
  readonly #meter: ReadMeter;
  #global: PaxRecords = noPaxRecords;
  /** Of the next entry alone. */
  #own: PaxRecords | null = null;
  #longPath = "";
  #longLink = "";
  #endsWithZeros = false;

  constructor(reader: ByteReader, meter: ReadMeter) {
    this.#reader = reader;
    this.#meter = meter;
  }

  /** The next entry when all that tells of it is one block, and that is at hand; else null, and `next` tells. */
  nextAtHand(): EntryHeader | null {
    const block = this.#reader.peek(blockBytes);
    if (block === null) return null;
    const header = decodeHeader(block);
    const kind = typeof header === "string" ? null : entryKind(header.kind);
    if (typeof header === "string" || kind === null) return null;
    this.#reader.pass(blockBytes);
    return this.#entry(header, kind);
  }

  /**
   * The next entry, null at the archive's end. Blocks of zeros are passed over wherever they are, so an archive of
   * several, as `cat a.tar b.tar` makes it, is read whole.
   */
  async next(): Promise<EntryHeader | null> {
    for (;;) {
      const block = this.#reader.take(blockBytes) ?? (await this.#reader.read(blockBytes));
      if (block.length === 0) {
        this.#meter.assertComplete(this.#endsWithZeros);
        return null;
      }
      if (block.length < blockBytes) throw this.#meter.truncated();
      const header = decodeHeader(block);
      if (header === "damaged") throw this.#meter.badHeader("has a wrong checksum");
      this.#endsWithZeros = header === "empty";
      if (header === "empty") continue;
      switch (header.kind) {
        case "pax":
          this.#own = this.#recordsIn(await this.#extension(header), this.#global);
          continue;
        case "pax-global":
          this.#global = this.#recordsIn(await this.#extension(header), this.#global);
          continue;
        case "gnu-long-path":
          this.#longPath = wholeText(await this.#extension(header));
          continue;
        case "gnu-long-link":
          this.#longLink = wholeText(await this.#extension(header));
          continue;
        default:
          return this.#entry(header, header.kind);
      }
    }
  }

  #entry(header: DecodedHeader, kind: ArchiveEntry["type"]): EntryHeader {
    const pax = this.#own ?? this.#global;
    const path = pax.path ?? (this.#longPath === "" ? header.path : this.#longPath);
    const linkTarget = pax.linkPath ?? (this.#longLink === "" ? header.linkTarget : this.#longLink);
    this.#own = null;
    this.#longPath = "";
    this.#longLink = "";
    const contentBytes = kind === "directory" ? 0 : (pax.size ?? header.size);
    return {
      path,
      type: kind === "file" ? typeOfFile(path, contentBytes, pax) : kind,
      mode: header.mode,
      linkTarget: kind === "symlink" || kind === "hardlink" ? linkTarget : null,
      contentBytes,
    };
  }

  async #extension({ size }: DecodedHeader): Promise<Buffer> {
    if (!(size <= EXTENSION_BYTES_MAX)) throw this.#meter.badHeader("has an impossible size");
    const bytes = await this.#reader.read(size + paddingOf(size));
    if (bytes.length < size + paddingOf(size)) throw this.#meter.truncated();
    return bytes.subarray(0, size);
  }

  #recordsIn(bytes: Buffer, before: PaxRecords): PaxRecords {
    const records = decodePaxRecords(bytes, before);
    if (records === null) throw this.#meter.badHeader("has damaged PAX records");
    return records;
  }
}

/** Null for a header that only tells of the one behind it. */
function entryKind(kind: HeaderKind): ArchiveEntry["type"] | null {
  switch (kind) {
    case "pax":
    case "pax-global":
    case "gnu-long-path":
    case "gnu-long-link":
      return null;
    default:
      return kind;
  }
}

function wholeText(bytes: Buffer): string {
  return textAt(bytes, 0, bytes.length);
}

function typeOfFile(path: string, size: number, { isSparse }: PaxRecords): ArchiveEntry["type"] {
  if (isSparse) return "other";
  // Archives older than POSIX mark directories by their name alone: the whole one, not what a header has room for.
  return path.endsWith("/") && size === 0 ? "directory" : "file";
}
