import { abortableStream, contentMismatch, type ByteStream } from "@dinp/core";
import { ChunkReader, type Chunk } from "./chunk-reader.js";
import type { RepositoryPlace } from "./repository-place.js";
import { Spool } from "./spool.js";
import { backOff } from "./retry.js";
import { UploadLost, UploadSession } from "./upload-session.js";

export interface StoredBlob {
  readonly digest: string;
  readonly size: number;
}

/**
 * Stores a stream as a blob: a small one in one request, a larger one in chunks, one of which is sent while the next is
 * read. When the registry loses the upload, it is begun anew from what is still held: the first chunk, or the spool.
 */
export async function writeBlob(
  place: RepositoryPlace,
  bytes: ByteStream,
  expected: string | undefined,
  signal: AbortSignal | undefined,
): Promise<StoredBlob> {
  const stop = new AbortController();
  const onAbort = (): void => {
    stop.abort();
  };
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted === true) onAbort();
  const writer = new BlobWriter(place, new ChunkReader(abortableStream(bytes, stop.signal)), stop, expected);
  try {
    return await writer.write();
  } catch (error) {
    // The stream lets go of whoever waits in it.
    stop.abort();
    writer.abandon();
    throw error instanceof UploadLost ? error.reason : error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await writer.dispose();
  }
}

class BlobWriter {
  readonly #place: RepositoryPlace;
  readonly #reader: ChunkReader;
  readonly #stop: AbortController;
  readonly #expected: string | undefined;
  #session: UploadSession | null = null;
  #spool: Spool | null = null;

  constructor(
    place: RepositoryPlace,
    reader: ChunkReader,
    stop: AbortController,
    expected: string | undefined,
  ) {
    this.#place = place;
    this.#reader = reader;
    this.#stop = stop;
    this.#expected = expected;
  }

  async write(): Promise<StoredBlob> {
    const { limits, spoolDir } = this.#place.client.settings;
    const first = await this.#reader.next(limits.chunkBytes);
    if (first.isLast) {
      const digest = this.#checkedDigest();
      await this.#inSession(0, (session) => session.commit(digest, first.bytes));
      return { digest, size: first.bytes.length };
    }
    // Without it the write only survives less.
    this.#spool = spoolDir === null ? null : await Spool.open(spoolDir).catch(() => null);
    await this.#sendAll(first);
    const { size } = this.#reader;
    const digest = this.#checkedDigest();
    await this.#inSession(size, (session) => session.commit(digest, new Uint8Array(0)));
    return { digest, size };
  }

  /** Has the registry forget what it was given, in the background. */
  abandon(): void {
    this.#session?.abandon();
  }

  async dispose(): Promise<void> {
    await this.#spool?.close().catch(() => undefined);
  }

  async #sendAll(first: Chunk): Promise<void> {
    const { chunkBytes } = this.#place.client.settings.limits;
    for (let chunk = first; ;) {
      const { offset, isLast } = chunk;
      const sending = this.#inSession(offset, (session) => session.send(chunk));
      const next = isLast ? Promise.resolve(chunk) : this.#reader.next(chunkBytes);
      const tasks = [next, sending, this.#keep(chunk.bytes)] as const;
      try {
        [chunk] = await Promise.all(tasks);
      } catch (error) {
        this.#stop.abort();
        await Promise.allSettled(tasks);
        throw error;
      }
      if (isLast) return;
    }
  }

  /** Runs a step of the upload after its first `offset` bytes; when the upload is lost, in a new one that has them too. */
  async #inSession(offset: number, step: (session: UploadSession) => Promise<void>): Promise<void> {
    const { settings } = this.#place.client;
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#session ??= await this.#begin(offset);
        await step(this.#session);
        return;
      } catch (error) {
        if (!(error instanceof UploadLost) || offset > (this.#spool?.size ?? 0)) throw error;
        this.#session = null;
        await backOff(error.reason, attempt, settings, this.#stop.signal);
      }
    }
  }

  async #begin(offset: number): Promise<UploadSession> {
    const { chunkBytes } = this.#place.client.settings.limits;
    const session = await UploadSession.open(this.#place, this.#stop.signal);
    for (let sent = 0; sent < offset;) {
      const bytes = await this.#spool?.read(sent, Math.min(chunkBytes, offset - sent));
      if (bytes === undefined) throw new UploadLost(this.#place.repository);
      await session.send({ offset: sent, bytes, isLast: false });
      sent += bytes.length;
    }
    return session;
  }

  async #keep(bytes: Uint8Array): Promise<void> {
    const spool = this.#spool;
    if (spool === null) return;
    try {
      await spool.append(bytes);
    } catch {
      // A full disk costs only the second chance.
      this.#spool = null;
      await spool.close().catch(() => undefined);
    }
  }

  #checkedDigest(): string {
    const digest = this.#reader.digest();
    if (this.#expected === undefined || this.#expected === digest) return digest;
    throw contentMismatch(this.#place.repository, this.#expected, digest);
  }
}
