import { crc32, deflateRawSync } from "node:zlib";

/** An entry for {@link makeZip}; what is said of it may be as wrong as a test likes. */
export interface ZipEntry {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  /** Unix mode with its type bits; null: made on DOS, without one. Default a plain file, 0644. */
  readonly mode?: number | null;
  /** Stored unless asked for. */
  readonly deflate?: boolean;
  /** Sizes and checksum behind the content only, as a writer does that cannot go back. */
  readonly descriptor?: boolean;
  /** Sizes and offset in the extra field of zip64. */
  readonly zip64?: boolean;
  readonly extra?: Buffer;
  readonly flags?: number;
  readonly method?: number;
  readonly crc?: number;
  /** The size that is told. */
  readonly size?: number;
  readonly localName?: string;
  /** Where the directory says that the entry is; nothing is written for it then. */
  readonly at?: number;
}

export interface ZipOptions {
  readonly comment?: string;
  /** How many entries the end of the directory tells. */
  readonly entryCount?: number;
  /** Bytes before the first entry, which all offsets count. */
  readonly prefix?: Buffer;
  readonly disk?: number;
  readonly zip64?: boolean;
}

/** A zip made by another writer than the one under test (there is none), field by field; APPNOTE.TXT 6.3.10. */
export function makeZip(entries: readonly ZipEntry[], options: ZipOptions = {}): Buffer {
  const parts: Buffer[] = [options.prefix ?? Buffer.alloc(0)];
  let offset = parts[0]?.length ?? 0;
  const push = (part: Buffer): void => {
    parts.push(part);
    offset += part.length;
  };
  const records: Buffer[] = [];
  for (const entry of entries) {
    const at = entry.at ?? offset;
    const fields = fieldsOf(entry);
    if (entry.at === undefined) {
      push(localHeader(entry, fields));
      push(fields.data);
      if (entry.descriptor === true) push(uint32(0x08074b50, fields.crc, fields.data.length, fields.size));
    }
    records.push(directoryRecord(entry, fields, at));
  }
  const start = offset;
  for (const record of records) push(record);
  const directory = { start, size: offset - start, count: options.entryCount ?? entries.length };
  if (options.zip64 === true) push(zip64End(directory, offset));
  push(endRecord(directory, options));
  return Buffer.concat(parts);
}

interface Fields {
  readonly name: Buffer;
  readonly data: Buffer;
  readonly crc: number;
  readonly size: number;
  readonly flags: number;
  readonly method: number;
}

function fieldsOf(entry: ZipEntry): Fields {
  const content = Buffer.from(entry.content ?? "");
  const deflate = entry.deflate === true;
  return {
    name: Buffer.from(entry.name),
    data: deflate ? deflateRawSync(content) : content,
    crc: entry.crc ?? crc32(content),
    size: entry.size ?? content.length,
    flags: (entry.flags ?? 0x800) | (entry.descriptor === true ? 0x8 : 0),
    method: entry.method ?? (deflate ? 8 : 0),
  };
}

function localHeader(entry: ZipEntry, { name, data, crc, size, flags, method }: Fields): Buffer {
  const localName = entry.localName === undefined ? name : Buffer.from(entry.localName);
  const isLater = entry.descriptor === true;
  return Buffer.concat([
    uint32(0x04034b50),
    uint16(20, flags, method, 0, 0x21),
    isLater ? uint32(0, 0, 0) : uint32(crc, data.length, size),
    uint16(localName.length, 0),
    localName,
  ]);
}

function directoryRecord(entry: ZipEntry, fields: Fields, at: number): Buffer {
  const { name, data, crc, size, flags, method } = fields;
  const mode = entry.mode === undefined ? 0o100644 : entry.mode;
  const isBig = entry.zip64 === true;
  const zip64 = Buffer.concat([uint16(1, 24), uint64(size, data.length, at)]);
  const extra = Buffer.concat([isBig ? zip64 : Buffer.alloc(0), entry.extra ?? Buffer.alloc(0)]);
  const max = 0xffffffff;
  return Buffer.concat([
    uint32(0x02014b50),
    uint16(mode === null ? 20 : (3 << 8) | 30, 20, flags, method, 0, 0x21),
    uint32(crc, isBig ? max : data.length, isBig ? max : size),
    uint16(name.length, extra.length, 0, 0, 0),
    uint32(mode === null ? 0 : (mode << 16) >>> 0, isBig ? max : at),
    name,
    extra,
  ]);
}

interface Directory {
  readonly start: number;
  readonly size: number;
  readonly count: number;
}

function zip64End({ start, size, count }: Directory, at: number): Buffer {
  return Buffer.concat([
    uint32(0x06064b50),
    uint64(44),
    uint16(45, 45),
    uint32(0, 0),
    uint64(count, count, size, start),
    uint32(0x07064b50, 0),
    uint64(at),
    uint32(1),
  ]);
}

function endRecord({ start, size, count }: Directory, options: ZipOptions): Buffer {
  const isBig = options.zip64 === true;
  const comment = Buffer.from(options.comment ?? "");
  const disk = options.disk ?? 0;
  return Buffer.concat([
    uint32(0x06054b50),
    uint16(disk, disk, isBig ? 0xffff : count, isBig ? 0xffff : count),
    isBig ? uint32(0xffffffff, 0xffffffff) : uint32(size, start),
    uint16(comment.length),
    comment,
  ]);
}

function uint16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => bytes.writeUInt16LE(value, index * 2));
  return bytes;
}

function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
}

function uint64(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => bytes.writeBigUInt64LE(BigInt(value), index * 8));
  return bytes;
}
