import type { ByteStream } from "./registry.js";

export interface ArchiveEntry {
  /** As the archive writes it: not yet checked. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink" | "other";
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  /** Bytes of `content`; 0 unless `file`. */
  readonly size: number;
  /** Of a symlink or hardlink, as the archive writes it. */
  readonly linkTarget: string | null;
  /** Who owns it, where it is written: `0:0` unless said. Not read. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Must be read (or left) before the next entry is asked for. */
  readonly content: ByteStream;
}

/** `file`: no archive but one file, which is read as an archive of one entry. */
export type ArchiveFormat = "tar" | "tar.gz" | "zip" | "file";

/** Reads archives as streams, with back-pressure and bounded memory. */
export interface ArchiveReader {
  /**
   * Entries in the archive's order. `DINP_ARCHIVE_REFUSED` for damaged or truncated input, one that unpacks to more
   * than `maxBytes` or `maxEntries`, or a format that is not read here.
   */
  read(
    bytes: ByteStream,
    options: {
      readonly format: ArchiveFormat;
      readonly maxBytes: number;
      readonly maxEntries: number;
      readonly signal?: AbortSignal;
    },
  ): AsyncIterable<ArchiveEntry>;
}

/** Reads archives, and writes tars. */
export interface Archive extends ArchiveReader {
  /** A POSIX tar (PAX where needed) of the entries in their order; times are 0. Deterministic. */
  write(entries: AsyncIterable<ArchiveEntry>, options?: { readonly signal?: AbortSignal }): ByteStream;
}
