import { RewindableStream, type ByteSource, type ByteStream, type Spool } from "@dinp/core";
import { BlobReading } from "./blob-reading.js";
import { PrefixMarks } from "./prefix-marks.js";

/** What a blob is written from: read again when it can be, through a spool when it is a stream. */
export class BlobSource {
  readonly #source: ByteSource | RewindableStream;
  readonly #repository: string;
  readonly #marks = new PrefixMarks();
  #reading: BlobReading | null = null;

  constructor(source: ByteSource, spool: Spool | null, repository: string) {
    const isOnce = typeof source !== "function";
    this.#source = isOnce && spool !== null ? new RewindableStream(source, spool) : source;
    this.#repository = repository;
  }

  /** Whether there can be another reading. */
  get isRepeatable(): boolean {
    if (this.#source instanceof RewindableStream) return this.#source.isWhole;
    return typeof this.#source === "function" || this.#reading === null;
  }

  /** A reading from the beginning; the one before is left. */
  read(signal: AbortSignal): BlobReading {
    this.#reading?.leave();
    this.#reading = new BlobReading(this.#open(), this.#repository, this.#marks, signal);
    return this.#reading;
  }

  /** Lets go of everything. Never rejects. */
  async close(): Promise<void> {
    this.#reading?.leave();
    if (this.#source instanceof RewindableStream) await this.#source.close();
  }

  #open(): ByteStream {
    if (this.#source instanceof RewindableStream) return this.#source.read();
    return typeof this.#source === "function" ? this.#source() : this.#source;
  }
}
