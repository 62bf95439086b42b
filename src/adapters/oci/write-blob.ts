import { contentMismatch, type ByteSource } from "@dinp/core";
import type { BlobReading } from "./blob-reading.js";
import { BlobSource } from "./blob-source.js";
import type { RepositoryPlace } from "./repository-place.js";
import { backOff } from "./retry.js";
import { UploadBroken, UploadLost, UploadSession } from "./upload-session.js";

/** After this many bytes an upload that breaks counts as the first again. */
const PROGRESS_BYTES = 8 * 1024 * 1024;

export interface StoredBlob {
  readonly digest: string;
  readonly size: number;
}

/**
 * Stores a blob: a small one in one request, from memory; a larger one as a stream, which goes on where the registry says
 * that it stands, or is begun anew, when it breaks and its source can be read again.
 */
export async function writeBlob(
  place: RepositoryPlace,
  source: ByteSource,
  expected: string | undefined,
  signal: AbortSignal | undefined,
): Promise<StoredBlob> {
  const stop = new AbortController();
  const onAbort = (): void => {
    stop.abort();
  };
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted === true) onAbort();
  const blob = new BlobSource(source, place.client.settings.spool, place.repository);
  const writer = new BlobWriter(place, blob, stop.signal, expected);
  try {
    return await writer.write();
  } catch (error) {
    // The source lets go of whoever waits in it.
    stop.abort();
    writer.abandon();
    throw error instanceof UploadBroken ? error.reason : error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await blob.close();
  }
}

class BlobWriter {
  readonly #place: RepositoryPlace;
  readonly #source: BlobSource;
  readonly #signal: AbortSignal;
  readonly #expected: string | undefined;
  #session: UploadSession | null = null;
  /** How far the registry came at best, of all attempts. */
  #furthest = 0;

  constructor(place: RepositoryPlace, source: BlobSource, signal: AbortSignal, expected: string | undefined) {
    this.#place = place;
    this.#source = source;
    this.#signal = signal;
    this.#expected = expected;
  }

  async write(): Promise<StoredBlob> {
    const { heldBytes, chunkBytes } = this.#place.client.settings.limits;
    const reading = this.#source.read(this.#signal);
    const bytes = await reading.whole(Math.min(heldBytes, chunkBytes));
    return await (bytes === null ? this.#writeStream(reading) : this.#writeBytes(reading, bytes));
  }

  /** Has the registry forget what it was given, in the background. */
  abandon(): void {
    this.#session?.abandon();
  }

  async #writeBytes(reading: BlobReading, bytes: Uint8Array): Promise<StoredBlob> {
    const digest = this.#checkedDigest(reading);
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#session ??= await UploadSession.open(this.#place, this.#signal);
        await this.#session.commit(digest, bytes);
        return { digest, size: bytes.length };
      } catch (error) {
        if (!(error instanceof UploadLost)) throw error;
        this.#session = null;
        await backOff(error.reason, attempt, this.#place.client.settings, this.#signal);
      }
    }
  }

  async #writeStream(first: BlobReading): Promise<StoredBlob> {
    let reading = first;
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#session ??= await UploadSession.open(this.#place, this.#signal);
        return await this.#sendRest(this.#session, reading);
      } catch (error) {
        if (reading.failure !== null) throw reading.failure.error;
        if (!(error instanceof UploadBroken) || !this.#source.isRepeatable) throw error;
        reading.leave();
        await backOff(error.reason, attempt, this.#place.client.settings, this.#signal);
        const position = await this.#positionAfter(error, reading.offset);
        if (position >= this.#furthest + PROGRESS_BYTES) {
          this.#furthest = position;
          attempt = 0;
        }
        reading = this.#source.read(this.#signal);
        await reading.skip(position);
      }
    }
  }

  /** Sends what the reading has still to give, and has it stored. */
  async #sendRest(session: UploadSession, reading: BlobReading): Promise<StoredBlob> {
    const { chunkBytes } = this.#place.client.settings.limits;
    while (await reading.hasMore()) await session.send(reading, chunkBytes);
    const digest = this.#checkedDigest(reading);
    await session.commit(digest, new Uint8Array(0));
    return { digest, size: reading.offset };
  }

  /** Where to go on: at the beginning, in a new session, unless the registry knows better; `sent` bytes were sent so far. */
  async #positionAfter(error: UploadBroken, sent: number): Promise<number> {
    if (this.#session !== null && !(error instanceof UploadLost)) {
      try {
        const position = await this.#session.position();
        if (position <= sent) return position;
      } catch (failure) {
        if (!(failure instanceof UploadLost)) throw failure;
      }
    }
    this.#session = null;
    return 0;
  }

  #checkedDigest(reading: BlobReading): string {
    const digest = reading.digest();
    if (this.#expected === undefined || this.#expected === digest) return digest;
    throw contentMismatch(this.#place.repository, this.#expected, digest);
  }
}
