import { randomUUID } from "node:crypto";
import { mkdir, open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { abortableStream, DinpError, type ByteStream } from "@dinp/core";

const PIECE_BYTES = 64 * 1024;

/** An upload on disk, in a file without a name: it is gone with its handle, also when this process dies. */
export interface SpooledUpload {
  readonly handle: FileHandle;
  readonly size: number;
}

/**
 * Writes a stream into a nameless temporary file below `dir` (made when it is not there). The caller closes the handle.
 * Errors: the stream's own; `DINP_ARCHIVE_REFUSED` beyond `bytesMax`; `DINP_ABORTED`; `DINP_UNAVAILABLE` when the disk
 * is full or the folder cannot be written.
 */
export async function spool(
  bytes: ByteStream,
  options: { readonly dir: string; readonly bytesMax: number; readonly signal: AbortSignal | undefined },
): Promise<SpooledUpload> {
  const { dir, bytesMax, signal } = options;
  const handle = await openNameless(dir);
  try {
    let size = 0;
    for await (const chunk of abortableStream(bytes, signal)) {
      size += chunk.length;
      if (size > bytesMax) {
        throw new DinpError("DINP_ARCHIVE_REFUSED", `The upload has more than ${String(bytesMax)} bytes.`, {
          hint: "Leave out what the app does not need to run.",
        });
      }
      await writeAll(handle, chunk, dir);
    }
    return { handle, size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The bytes of a file from `start` up to `end`, read piece by piece; fewer when it ends before. */
export async function* readRange(
  handle: FileHandle,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let position = start; position < end;) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - position));
    const { bytesRead } = await handle.read(piece, 0, piece.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

async function openNameless(dir: string): Promise<FileHandle> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const path = join(dir, `dinp-upload-${randomUUID()}`);
    const handle = await open(path, "wx+", 0o600);
    await unlink(path);
    return handle;
  } catch (cause) {
    throw unavailable(dir, cause);
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, dir: string): Promise<void> {
  try {
    for (let offset = 0; offset < chunk.length;) {
      offset += (await handle.write(chunk, offset)).bytesWritten;
    }
  } catch (cause) {
    throw unavailable(dir, cause);
  }
}

function unavailable(dir: string, cause: unknown): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `The upload cannot be kept in ${dir} while it is read.`, {
    cause,
    retryable: true,
    hint: "Make room on that disk (or name another folder), then push again.",
  });
}
