import { tmpdir } from "node:os";
import type { Readable } from "node:stream";
import { inflateRawSync } from "node:zlib";
import { DinpError, type ArchiveEntry, type ArchiveReader, type ByteStream } from "@dinp/core";
import { fromRandomAccessReaderPromise, type ZipFile } from "yauzl";
import { readDirectory } from "./directory.js";
import { Checksum, decodeUtf8, type Member } from "./member.js";
import { damaged, refusal, shown } from "./refusal.js";
import { spool } from "./spool.js";
import { WindowedFile } from "./windowed-file.js";

export interface SpoolOptions {
  /** Where uploads lie while they are read, in files without names. Default: the system's folder for temporary files. */
  readonly dir?: string;
}

type ReadOptions = Parameters<ArchiveReader["read"]>[1];

/** Headers and directory of a zip beside its content: at the least, and for each entry. */
const OVERHEAD_BYTES = 16 * 1024 * 1024;
const OVERHEAD_BYTES_PER_ENTRY = 1_024;
const LINK_BYTES_MAX = 4_096;
/** Entries up to this size are read in one go: the streams of an entry cost several times what a small one's bytes do. */
const SMALL_BYTES_MAX = 256 * 1024;

/**
 * Reads zips (`.zip`, `.war`, `.jar`), zip64 and data descriptors among them. A zip's directory is at its end, so the
 * upload is put on disk first and its directory checked whole before the first entry comes: see `readDirectory`. Entries
 * come in the order of their places in the archive; sizes and checksums are checked as they are read.
 */
export class ZipReader implements ArchiveReader {
  readonly #dir: string;

  constructor(options: SpoolOptions = {}) {
    this.#dir = options.dir ?? tmpdir();
  }

  async *read(bytes: ByteStream, options: ReadOptions): AsyncGenerator<ArchiveEntry, void, undefined> {
    const { maxBytes, maxEntries, signal } = options;
    const bytesMax = maxBytes + OVERHEAD_BYTES + OVERHEAD_BYTES_PER_ENTRY * maxEntries;
    const { handle, size } = await spool(bytes, { dir: this.#dir, bytesMax, signal });
    try {
      const file = new WindowedFile(handle);
      const zip = await openZip(file, size);
      for (const member of await readDirectory(zip, file, { maxBytes, maxEntries, signal })) {
        yield await entryOf({ zip, file }, member, signal);
      }
    } finally {
      await handle.close();
    }
  }
}

/** A {@link ZipReader}. */
export function createZipReader(options: SpoolOptions = {}): ArchiveReader {
  return new ZipReader(options);
}

async function openZip(file: WindowedFile, size: number): Promise<ZipFile> {
  if (size === 0) throw refusal("The archive is empty", null);
  try {
    // Its names are decoded here, strictly; the handle is closed here as well.
    return await fromRandomAccessReaderPromise(file, size, {
      autoClose: false,
      decodeStrings: false,
      validateEntrySizes: true,
    });
  } catch (error) {
    throw damaged(error, null);
  }
}

interface OpenZip {
  readonly zip: ZipFile;
  readonly file: WindowedFile;
}

async function entryOf(
  open: OpenZip,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<ArchiveEntry> {
  const { path, type, mode } = member;
  const content = new MemberContent(open, member, signal);
  if (type !== "symlink")
    return { path, type, mode, size: type === "file" ? member.size : 0, linkTarget: null, content };
  return { path, type, mode, size: 0, linkTarget: await readLink(member, content), content: NOTHING };
}

async function readLink(member: Member, content: ByteStream): Promise<string> {
  if (member.size > LINK_BYTES_MAX)
    throw refusal(`The archive's link ${shown(member.path)} is too long`, member.path);
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  const target = decodeUtf8(Buffer.concat(chunks));
  if (target !== null) return target;
  throw refusal(`The target of the archive's link ${shown(member.path)} is not UTF-8`, member.path);
}

/** The bytes of one entry, with its size and checksum checked at its end. */
class MemberContent implements AsyncIterable<Uint8Array> {
  readonly #open: OpenZip;
  readonly #member: Member;
  readonly #signal: AbortSignal | undefined;

  constructor(open: OpenZip, member: Member, signal: AbortSignal | undefined) {
    this.#open = open;
    this.#member = member;
    this.#signal = signal;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { path, crc32, size, compressedSize } = this.#member;
    const checksum = new Checksum();
    const isSmall = size <= SMALL_BYTES_MAX && compressedSize <= SMALL_BYTES_MAX;
    const pieces = isSmall ? wholeMember(this.#open, this.#member) : streamMember(this.#open, this.#member);
    try {
      for await (const piece of pieces) {
        if (this.#signal?.aborted === true) {
          throw new DinpError("DINP_ABORTED", "Reading the archive was aborted.");
        }
        checksum.update(piece);
        yield piece;
      }
    } catch (error) {
      throw damaged(error, path);
    }
    if (checksum.value !== crc32) {
      throw refusal(`The archive's entry ${shown(path)} is damaged: its checksum is wrong`, path);
    }
  }
}

async function* wholeMember({ file }: OpenZip, member: Member): AsyncGenerator<Uint8Array, void, undefined> {
  const { dataStart, compressedSize, isCompressed, size, path } = member;
  const stored = Buffer.allocUnsafe(compressedSize);
  await file.readAt(stored, dataStart);
  const bytes = isCompressed ? inflate(stored, member) : stored;
  if (bytes.length !== size) {
    throw refusal(`The archive's entry ${shown(path)} is damaged: it has not enough bytes`, path);
  }
  if (size > 0) yield bytes;
}

function inflate(stored: Buffer, { size, path }: Member): Buffer {
  try {
    return inflateRawSync(stored, { maxOutputLength: Math.max(size, 1) });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw refusal(`The archive's entry ${shown(path)} is damaged: it has too many bytes`, path);
  }
}

async function* streamMember({ zip }: OpenZip, member: Member): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = await openMember(zip, member);
  try {
    for await (const chunk of stream) if (chunk instanceof Uint8Array) yield chunk;
  } finally {
    stream.destroy();
  }
}

function openMember(zip: ZipFile, member: Member): Promise<Readable> {
  const { dataStart, compressedSize, isCompressed, size } = member;
  return new Promise((resolve, reject) => {
    zip.openReadStreamLowLevel(
      dataStart,
      compressedSize,
      0,
      compressedSize,
      isCompressed,
      size,
      (error, stream) => {
        if (error === null) resolve(stream);
        else reject(error);
      },
    );
  });
}

const NOTHING: ByteStream = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};
