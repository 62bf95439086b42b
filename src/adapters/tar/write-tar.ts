import { DinpError, type ArchiveEntry } from "@dinp/core";
import { encodeTarHeader, paddingOf } from "./header.js";

const CHUNK_BYTES = 64 * 1024;
const END_OF_ARCHIVE = new Uint8Array(1024);

/** A tar of the entries, in their order, pulled by its reader: one entry is open at a time, at most 64 KiB are held. */
export async function* writeTar(
  entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = new ChunkBuffer();
  for await (const entry of entries) {
    throwIfAborted(signal);
    yield* chunks.add(headerOf(entry));
    if (entry.type !== "file") continue;
    let size = 0;
    for await (const piece of entry.content) {
      throwIfAborted(signal);
      size += piece.length;
      if (size > entry.size) throw wrongSize(entry, size);
      yield* chunks.add(piece);
    }
    if (size !== entry.size) throw wrongSize(entry, size);
    yield* chunks.add(END_OF_ARCHIVE.subarray(0, paddingOf(size)));
  }
  yield* chunks.add(END_OF_ARCHIVE);
  yield* chunks.flush();
}

/** Gathers small pieces, so that an archive of many small files is not as many small writes. */
class ChunkBuffer {
  #bytes = new Uint8Array(CHUNK_BYTES);
  #length = 0;

  *add(piece: Uint8Array): Generator<Uint8Array, void, undefined> {
    if (this.#length + piece.length > CHUNK_BYTES) yield* this.flush();
    if (piece.length > CHUNK_BYTES / 2) {
      yield* this.flush();
      yield piece;
      return;
    }
    this.#bytes.set(piece, this.#length);
    this.#length += piece.length;
  }

  *flush(): Generator<Uint8Array, void, undefined> {
    if (this.#length === 0) return;
    const full = this.#bytes.subarray(0, this.#length);
    this.#bytes = new Uint8Array(CHUNK_BYTES);
    this.#length = 0;
    yield full;
  }
}

function headerOf(entry: ArchiveEntry): Uint8Array {
  const { type, path, linkTarget } = entry;
  if (type === "other")
    throw new TypeError(`Cannot write the special file ${JSON.stringify(path)} to a tar.`);
  if (path === "" || path.includes("\0") || linkTarget?.includes("\0") === true) {
    throw new TypeError(`Cannot write the name ${JSON.stringify(path)} to a tar.`);
  }
  return encodeTarHeader({
    path: type === "directory" && !path.endsWith("/") ? `${path}/` : path,
    type,
    mode: entry.mode,
    size: type === "file" ? entry.size : 0,
    linkTarget: type === "symlink" || type === "hardlink" ? linkTarget : null,
  });
}

function wrongSize(entry: ArchiveEntry, size: number): DinpError {
  const comparison = size > entry.size ? "more than" : `${String(size)} of`;
  return new DinpError(
    "DINP_INVALID",
    `The content of ${JSON.stringify(entry.path)} has ${comparison} the ${String(entry.size)} bytes announced.`,
    { details: { entry: entry.path } },
  );
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "Writing the archive was aborted.");
}
