import { DinpError, type ArchiveEntry } from "@dinp/core";
import { ChunkBuffer } from "./chunk-buffer.js";
import { EntryContent } from "./entry-content.js";
import { encodeTarHeader, paddingOf } from "./header.js";
import { WholeContent } from "./whole-content.js";

const END_BYTES = 1024;

/** A tar of the entries, in their order, pulled by its reader: one entry is open at a time, at most 1 MiB is held. */
export async function* writeTar(
  entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = new ChunkBuffer();
  for await (const entry of entries) {
    throwIfAborted(signal);
    chunks.add(headerOf(entry));
    if (entry.type === "file" && !addAtHand(entry, chunks)) yield* contentOf(entry, chunks, signal);
    while (chunks.hasFull) yield chunks.takeFull();
  }
  chunks.pad(END_BYTES);
  chunks.flush();
  while (chunks.hasFull) yield chunks.takeFull();
}

/** Adds a file's content without a wait, where it lies there whole; else false. */
function addAtHand({ path, size, content }: ArchiveEntry, chunks: ChunkBuffer): boolean {
  const canBeWhole = content instanceof EntryContent || content instanceof WholeContent;
  const whole = canBeWhole ? content.takeWhole() : null;
  if (whole === null) return false;
  if (whole.length !== size) throw wrongSize(path, size, whole.length);
  chunks.add(whole);
  chunks.pad(paddingOf(size));
  return true;
}

/** Adds a file's content as it comes; gives the chunks that are full before its end. */
async function* contentOf(
  entry: ArchiveEntry,
  chunks: ChunkBuffer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0;
  for await (const piece of entry.content) {
    throwIfAborted(signal);
    size += piece.length;
    if (size > entry.size) throw wrongSize(entry.path, entry.size, size);
    chunks.add(piece);
    while (chunks.hasFull) yield chunks.takeFull();
  }
  if (size !== entry.size) throw wrongSize(entry.path, entry.size, size);
  chunks.pad(paddingOf(size));
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

function wrongSize(path: string, announced: number, size: number): DinpError {
  const comparison = size > announced ? "more than" : `${String(size)} of`;
  return new DinpError(
    "DINP_INVALID",
    `The content of ${JSON.stringify(path)} has ${comparison} the ${String(announced)} bytes announced.`,
    { details: { entry: path } },
  );
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "Writing the archive was aborted.");
}
