import { DinpError, type Archive, type ArchiveEntry, type ByteStream } from "@dinp/core";
import { ByteReader } from "./byte-reader.js";
import { EntryHeaders } from "./entry-headers.js";
import { GuardedSource } from "./guarded-source.js";
import { gunzip } from "./gunzip.js";
import { paddingOf } from "./header.js";
import { ReadMeter } from "./read-meter.js";

/** The entries of an archive; see `Archive.read`. */
export async function* readTar(
  bytes: ByteStream,
  options: Parameters<Archive["read"]>[1],
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const { format } = options;
  if (format !== "tar" && format !== "tar.gz") {
    throw new DinpError("DINP_ARCHIVE_REFUSED", `Uploads of the format ${format} are not read here.`, {
      hint: "Send a .tar.gz file, as `tar -czf app.tar.gz .` makes it.",
    });
  }
  const source = new GuardedSource(bytes, options.signal);
  const meter = new ReadMeter(options);
  const reader = new ByteReader(
    meter.unpacked(format === "tar.gz" ? gunzip(meter.compressed(source)) : source),
  );
  const headers = new EntryHeaders(reader, meter);
  const asRefusal = (error: unknown): unknown => source.failure?.error ?? meter.refusal(error);
  try {
    for (let header = await headers.next(); header !== null; header = await headers.next()) {
      const { path, type, mode, linkTarget, contentBytes } = header;
      meter.enter(path, contentBytes);
      const size = type === "file" ? contentBytes : 0;
      const content = new EntryContent(reader, size, meter, asRefusal);
      yield { path, type, mode, size, linkTarget, content };
      const rest = (await content.close()) + (contentBytes - size) + paddingOf(contentBytes);
      if (reader.take(rest) === null && !(await reader.skip(rest))) throw meter.truncated();
    }
  } catch (error) {
    throw asRefusal(error);
  } finally {
    source.stop();
    reader.close();
  }
}

type Next = IteratorResult<Uint8Array, undefined>;

const END: Next = Object.freeze({ done: true, value: undefined });

/** One entry's bytes, in the pieces in which they come. */
class EntryContent implements AsyncIterable<Uint8Array> {
  readonly #reader: ByteReader;
  readonly #meter: ReadMeter;
  readonly #asRefusal: (error: unknown) => unknown;
  #left: number;
  /** The latest call that had to wait; the next one comes after it. */
  #waiting: Promise<Next> | null = null;

  constructor(reader: ByteReader, size: number, meter: ReadMeter, asRefusal: (error: unknown) => unknown) {
    this.#reader = reader;
    this.#meter = meter;
    this.#asRefusal = asRefusal;
    this.#left = size;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined, undefined> {
    return { next: () => this.#next() };
  }

  /** Ends it, after the calls that wait; resolves to how many bytes were not read. Never rejects. */
  async close(): Promise<number> {
    await this.#waiting?.catch(() => undefined);
    const left = this.#left;
    this.#left = 0;
    return left;
  }

  #next(): Promise<Next> {
    // Not an async function: most contents are at hand, and there are thousands of them.
    const piece = this.#waiting === null ? this.#atHand() : null;
    if (piece !== null) return Promise.resolve(piece);
    const waiting = this.#wait(this.#waiting).finally(() => {
      if (this.#waiting === waiting) this.#waiting = null;
    });
    this.#waiting = waiting;
    return waiting;
  }

  #atHand(): Next | null {
    if (this.#left === 0) return END;
    const value = this.#reader.takeSome(this.#left);
    if (value === null) return null;
    this.#left -= value.length;
    return { done: false, value };
  }

  async #wait(before: Promise<Next> | null): Promise<Next> {
    await before;
    try {
      for (;;) {
        const piece = this.#atHand();
        if (piece !== null) return piece;
        if (!(await this.#reader.refill())) throw this.#meter.truncated();
      }
    } catch (error) {
      throw this.#asRefusal(error);
    }
  }
}
