import { Buffer } from "node:buffer";
import { DinpError, type ArchiveEntry } from "@dinp/core";
import { encodeTarHeader, paddingOf } from "./header.js";

const CHUNK_BYTES = 256 * 1024;
/** Larger pieces of content are passed on as they are. */
const COPIED_BYTES_MAX = 64 * 1024;
const END_BYTES = 1024;

/** A tar of the entries, in their order, pulled by its reader: one entry is open at a time, at most 256 KiB are held. */
export async function* writeTar(
  entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = new ChunkBuffer();
  for await (const entry of entries) {
    throwIfAborted(signal);
    if (chunks.hasFull) yield* chunks.takeFull();
    chunks.add(headerOf(entry));
    if (entry.type !== "file") continue;
    let size = 0;
    for await (const piece of entry.content) {
      throwIfAborted(signal);
      size += piece.length;
      if (size > entry.size) throw wrongSize(entry, size);
      chunks.add(piece);
      if (chunks.hasFull) yield* chunks.takeFull();
    }
    if (size !== entry.size) throw wrongSize(entry, size);
    chunks.pad(paddingOf(size));
  }
  chunks.pad(END_BYTES);
  chunks.flush();
  yield* chunks.takeFull();
}

/**
 * Gathers small pieces, so that an archive of many small files is not as many small writes. Bytes that were given out are
 * never written to again.
 */
class ChunkBuffer {
  #slab = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #start = 0;
  #end = 0;
  #full: Uint8Array[] = [];

  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** The chunks that are done, in their order, which are its caller's from now on. */
  takeFull(): readonly Uint8Array[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  add(piece: Uint8Array): void {
    if (piece.length >= COPIED_BYTES_MAX) {
      this.flush();
      this.#full.push(piece);
      return;
    }
    this.#makeRoom(piece.length);
    this.#slab.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Adds zeros, fewer than a chunk has bytes. */
  pad(count: number): void {
    if (count === 0) return;
    this.#makeRoom(count);
    this.#slab.fill(0, this.#end, this.#end + count);
    this.#end += count;
  }

  flush(): void {
    if (this.#end === this.#start) return;
    this.#full.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #makeRoom(count: number): void {
    if (this.#end + count <= CHUNK_BYTES) return;
    this.flush();
    this.#slab = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#start = 0;
    this.#end = 0;
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
    uid: entry.owner?.uid ?? 0,
    gid: entry.owner?.gid ?? 0,
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
