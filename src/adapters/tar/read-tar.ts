import { createGunzip } from "node:zlib";
import { pipeline, Readable } from "node:stream";
import { DinpError, messageOf, type Archive, type ArchiveEntry, type ByteStream } from "@dinp/core";
import { extract as createExtract, type Extract, type Header } from "tar-stream";
import { GuardedSource } from "./guarded-source.js";

type Entry = Extract extends AsyncIterable<infer E> ? E : never;
type ReadOptions = Parameters<Archive["read"]>[1];

/** What headers, padding and PAX records may take besides content: at the start, and for each entry. */
const OVERHEAD_BYTES = 16 * 1024 * 1024;
const OVERHEAD_BYTES_PER_ENTRY = 8 * 1024;
/** Beyond this size, an archive that grows by more than this factor is a bomb, not an app. */
const RATIO_FREE_BYTES = 64 * 1024 * 1024;
const RATIO_MAX = 200;
const GUNZIP_CHUNK_BYTES = 64 * 1024;
/** Header older than POSIX are read as well: their checksum guards them. */
const PARSER_OPTIONS = { highWaterMark: GUNZIP_CHUNK_BYTES, allowUnknownFormat: true };

/** The entries of an archive; see `Archive.read`. */
export async function* readTar(
  bytes: ByteStream,
  options: ReadOptions,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const source = new GuardedSource(bytes, options.signal);
  const meter = new Meter(options);
  const raw = options.format === "tar.gz" ? gunzip(meter.compressed(source)) : source;
  const extract = createExtract(PARSER_OPTIONS);
  const pumping = pump(meter.unpacked(raw), extract);
  const asRefusal = (error: unknown): unknown => source.failure?.error ?? refusal(error, meter);
  try {
    for await (const entry of { [Symbol.asyncIterator]: () => entriesOf(extract) }) {
      meter.enter(entry.header);
      const content = new EntryContent(entry, asRefusal);
      yield { ...headOf(entry.header), content };
      await content.drain();
    }
    await pumping;
    meter.assertComplete();
  } catch (error) {
    throw asRefusal(error);
  } finally {
    source.stop();
    extract.destroy();
  }
}

/** Feeds the tar parser with back-pressure; whatever fails ends the parser, which hands it to its reader. */
async function pump(bytes: ByteStream, extract: Extract): Promise<void> {
  try {
    for await (const chunk of bytes) {
      if (extract.destroyed) return;
      if (!extract.write(chunk)) await writable(extract);
    }
    extract.end(null);
  } catch (error) {
    extract.destroy(error instanceof Error ? error : new Error(messageOf(error), { cause: error }));
  }
}

function writable(extract: Extract): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      extract.off("drain", done);
      extract.off("close", done);
      resolve();
    };
    extract.on("drain", done);
    extract.on("close", done);
    if (extract.destroyed) done();
  });
}

/** The parser's own iterator, without the `return` that waits for its end. */
function entriesOf(extract: Extract): AsyncIterator<Entry> {
  const iterator = extract[Symbol.asyncIterator]();
  return { next: () => iterator.next() };
}

async function* gunzip(bytes: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
  const unzipped = createGunzip({ chunkSize: GUNZIP_CHUNK_BYTES });
  pipeline(Readable.from(bytes, { objectMode: false }), unzipped, () => undefined);
  try {
    for await (const chunk of unzipped) {
      if (chunk instanceof Uint8Array) yield chunk;
    }
  } finally {
    unzipped.destroy();
  }
}

/** One entry's bytes. Leaving it early is allowed: `drain` reads the rest, and the parser lives on. */
class EntryContent implements AsyncIterable<Uint8Array> {
  readonly #chunks: AsyncIterator<unknown>;
  readonly #asRefusal: (error: unknown) => unknown;
  #left: number;

  constructor(entry: Entry, asRefusal: (error: unknown) => unknown) {
    this.#chunks = entry[Symbol.asyncIterator]();
    this.#asRefusal = asRefusal;
    this.#left = entry.header.type === "directory" ? 0 : entry.header.size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) yield chunk;
  }

  async drain(): Promise<void> {
    while ((await this.#next()) !== null);
  }

  async #next(): Promise<Uint8Array | null> {
    if (this.#left === 0) return null;
    try {
      const chunk = await this.#chunks.next();
      if (!(chunk.value instanceof Uint8Array)) throw new Error("Unexpected end of data");
      this.#left -= chunk.value.length;
      return chunk.value;
    } catch (error) {
      throw this.#asRefusal(error);
    }
  }
}

/** Counts what was read against the limits, and knows where the reader is. */
class Meter {
  readonly #options: ReadOptions;
  #compressedBytes = 0;
  #unpackedBytes = 0;
  #contentBytes = 0;
  #contentEnd = 0;
  #entries = 0;
  #path: string | null = null;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  /** The present entry, for messages. */
  get name(): string {
    return this.#path === null ? "the first entry" : JSON.stringify(this.#path.slice(0, 200));
  }

  get path(): string | null {
    return this.#path;
  }

  async *compressed(bytes: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      this.#compressedBytes += chunk.length;
      yield chunk;
    }
  }

  async *unpacked(bytes: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      // The chunks before this one were parsed, so their entries are accounted for.
      this.#assertOverhead();
      this.#unpackedBytes += chunk.length;
      this.#assertRatio();
      yield chunk;
    }
  }

  enter(header: Header): void {
    const size = header.type === "directory" ? 0 : header.size;
    this.#path = header.name;
    this.#entries += 1;
    this.#contentBytes += size;
    this.#contentEnd = numberAt(header, "byteOffset") + size;
    const { maxBytes, maxEntries } = this.#options;
    if (this.#entries > maxEntries) {
      throw this.#refused(`has more than ${String(maxEntries)} entries (reached at ${this.name})`);
    }
    if (this.#contentBytes > maxBytes) {
      throw this.#refused(`unpacks to more than ${String(maxBytes)} bytes (reached at ${this.name})`);
    }
  }

  /** A tar ends with a block of zeros (POSIX asks for two); one that was cut between two entries has none. */
  assertComplete(): void {
    if (this.#unpackedBytes === 0) throw this.#refused("is empty");
    if (this.#unpackedBytes >= this.#contentEnd + 512) return;
    throw this.#refused(`is truncated: it has no end marker after ${this.name}`);
  }

  #assertOverhead(): void {
    const overhead = this.#unpackedBytes - this.#contentBytes;
    if (overhead <= OVERHEAD_BYTES + OVERHEAD_BYTES_PER_ENTRY * this.#entries) return;
    throw this.#refused(`has ${String(overhead)} bytes that belong to no entry (near ${this.name})`);
  }

  #assertRatio(): void {
    if (this.#options.format === "tar" || this.#unpackedBytes < RATIO_FREE_BYTES) return;
    if (this.#unpackedBytes <= this.#compressedBytes * RATIO_MAX) return;
    throw this.#refused(
      `unpacks to more than ${String(RATIO_MAX)} times its size (reached at ${this.name})`,
      "Archives like this are refused because they can fill a disk; leave such files out.",
    );
  }

  #refused(what: string, hint?: string): DinpError {
    return new DinpError("DINP_ARCHIVE_REFUSED", `The archive ${what}.`, {
      ...(hint === undefined ? {} : { hint }),
      details: { entry: this.#path },
    });
  }
}

function headOf(header: Header): Omit<ArchiveEntry, "content"> {
  const type = typeOf(header);
  return {
    path: header.name,
    type,
    mode: header.mode & 0o7777,
    size: type === "file" ? header.size : 0,
    linkTarget: type === "symlink" || type === "hardlink" ? header.linkname : null,
  };
}

function typeOf(header: Header): ArchiveEntry["type"] {
  switch (header.type) {
    case "file":
    case "contiguous-file":
      if (isSparse(header)) return "other";
      // Archives older than POSIX mark directories by their name alone.
      return header.name.endsWith("/") && header.size === 0 ? "directory" : "file";
    case "directory":
    case "symlink":
      return header.type;
    case "link":
      return "hardlink";
    default:
      return "other";
  }
}

/** GNU's PAX form of sparse files: a plain entry whose content is not the file's. */
function isSparse(header: Header): boolean {
  const { pax } = header;
  return (
    typeof pax === "object" && pax !== null && Object.keys(pax).some((key) => key.startsWith("GNU.sparse."))
  );
}

function numberAt(header: Header, key: string): number {
  const value: unknown = Reflect.get(header, key);
  return typeof value === "number" ? value : 0;
}

function refusal(error: unknown, meter: Meter): DinpError {
  if (error instanceof DinpError) return error;
  const { what, hint } = explain(error, meter.name);
  return new DinpError("DINP_ARCHIVE_REFUSED", `The archive ${what}.`, {
    cause: error,
    hint,
    details: { entry: meter.path },
  });
}

function explain(error: unknown, name: string): { readonly what: string; readonly hint: string } {
  const message = messageOf(error);
  const again = "Make the archive again and send it whole.";
  if (/incorrect header check|unknown compression method/.test(message)) {
    return { what: "is not gzip data", hint: "Send a .tar.gz file, as `tar -czf app.tar.gz .` makes it." };
  }
  if (/unexpected end of (?:file|data)/i.test(message)) {
    return { what: `is truncated: it ends in or after ${name}`, hint: again };
  }
  if (/Invalid header/.test(message)) {
    return { what: `is damaged: the entry after ${name} has an impossible size`, hint: again };
  }
  if (/Invalid tar header/.test(message)) {
    return { what: `is damaged or not a tar: the header after ${name} has a wrong checksum`, hint: again };
  }
  return { what: `is damaged near ${name}: ${message.slice(0, 200)}`, hint: again };
}
