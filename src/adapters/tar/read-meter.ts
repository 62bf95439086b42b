import { DinpError, messageOf, type Archive, type ByteStream } from "@dinp/core";

/** What headers, padding and PAX records may take besides content: at the start, and for each entry. */
const OVERHEAD_BYTES = 16 * 1024 * 1024;
const OVERHEAD_BYTES_PER_ENTRY = 8 * 1024;
/** Beyond this size, an archive that grows by more than this factor is a bomb, not an app. */
const RATIO_FREE_BYTES = 64 * 1024 * 1024;
const RATIO_MAX = 200;

const AGAIN = "Make the archive again and send it whole.";

/** Counts what was read of an archive against its limits, knows where its reader is, and words the refusals. */
export class ReadMeter {
  readonly #options: Parameters<Archive["read"]>[1];
  #compressedBytes = 0;
  #unpackedBytes = 0;
  #contentBytes = 0;
  #entries = 0;
  #path: string | null = null;

  constructor(options: Parameters<Archive["read"]>[1]) {
    this.#options = options;
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

  /** Begins an entry; `size` is what it takes of the archive besides its header. */
  enter(path: string, size: number): void {
    this.#path = path;
    if (Number.isNaN(size)) throw this.damaged(`${this.#name} has an impossible size`);
    this.#entries += 1;
    this.#contentBytes += size;
    const { maxBytes, maxEntries } = this.#options;
    if (this.#entries > maxEntries) {
      throw this.#refused(`has more than ${String(maxEntries)} entries (reached at ${this.#name})`);
    }
    if (this.#contentBytes > maxBytes) {
      throw this.#refused(`unpacks to more than ${String(maxBytes)} bytes (reached at ${this.#name})`);
    }
  }

  /** A tar ends with a block of zeros (POSIX asks for two); one that was cut between two entries has none. */
  assertComplete(hasEndMarker: boolean): void {
    if (this.#unpackedBytes === 0) throw this.#refused("is empty");
    if (hasEndMarker) return;
    throw this.#refused(`is truncated: it has no end marker after ${this.#name}`);
  }

  /** The error for an archive that ends too early. */
  truncated(): DinpError {
    return this.#refused(`is truncated: it ends in or after ${this.#name}`, AGAIN);
  }

  /** The error for a header that is none, behind the present entry. */
  badHeader(what: string): DinpError {
    return this.damaged(`the header after ${this.#name} ${what}`, "damaged or not a tar");
  }

  damaged(what: string, how = "damaged"): DinpError {
    return this.#refused(`is ${how}: ${what}`, AGAIN);
  }

  /** What reading failed with, as a refusal: errors of zlib become sentences. */
  refusal(error: unknown): DinpError {
    if (error instanceof DinpError) return error;
    const message = messageOf(error);
    if (/incorrect header check|unknown compression method/.test(message)) {
      const hint = "Send a .tar.gz file, as `tar -czf app.tar.gz .` makes it.";
      return this.#refused("is not gzip data", hint, error);
    }
    if (/unexpected end of file/i.test(message)) {
      return this.#refused(`is truncated: it ends in or after ${this.#name}`, AGAIN, error);
    }
    return this.#refused(`is damaged near ${this.#name}: ${message.slice(0, 200)}`, AGAIN, error);
  }

  /** The present entry, for messages. */
  get #name(): string {
    return this.#path === null ? "the first entry" : JSON.stringify(this.#path.slice(0, 200));
  }

  #assertOverhead(): void {
    const overhead = this.#unpackedBytes - this.#contentBytes;
    if (overhead <= OVERHEAD_BYTES + OVERHEAD_BYTES_PER_ENTRY * this.#entries) return;
    throw this.#refused(`has ${String(overhead)} bytes that belong to no entry (near ${this.#name})`);
  }

  #assertRatio(): void {
    if (this.#options.format === "tar" || this.#unpackedBytes < RATIO_FREE_BYTES) return;
    if (this.#unpackedBytes <= this.#compressedBytes * RATIO_MAX) return;
    throw this.#refused(
      `unpacks to more than ${String(RATIO_MAX)} times its size (reached at ${this.#name})`,
      "Archives like this are refused because they can fill a disk; leave such files out.",
    );
  }

  #refused(what: string, hint?: string, cause?: unknown): DinpError {
    return new DinpError("DINP_ARCHIVE_REFUSED", `The archive ${what}.`, {
      ...(cause === undefined ? {} : { cause }),
      ...(hint === undefined ? {} : { hint }),
      details: { entry: this.#path },
    });
  }
}
