import { Buffer } from "node:buffer";
import { createGunzip, type Gunzip } from "node:zlib";
import type { ByteStream } from "@dinp/core";
import { piecesOf } from "./pieces-of.js";

const MIB = 1024 * 1024;
/** It runs in a thread of its own, so far ahead of its reader. */
const OPTIONS = { chunkSize: MIB, readableHighWaterMark: 6 * MIB, writableHighWaterMark: MIB / 2 };
/**
 * Files and connections come in pieces of 64 KiB at most. To wake the other thread costs about as much as to unpack that
 * much, so it gets more at once.
 */
const BATCH_BYTES = MIB / 4;

/** The bytes of a gzip of one or more members (RFC 1952), with back-pressure. Rejects as zlib or the given stream does. */
export async function* gunzip(bytes: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
  const unzipped = createGunzip(OPTIONS);
  void feed(bytes, unzipped);
  try {
    yield* piecesOf(unzipped);
  } finally {
    unzipped.destroy();
  }
}

/** Never rejects: what fails ends the stream that is fed. */
async function feed(bytes: ByteStream, into: Gunzip): Promise<void> {
  try {
    for await (const batch of inBatches(bytes)) {
      if (!into.write(batch)) await writable(into);
      if (into.destroyed) return;
    }
    into.end();
  } catch (error) {
    into.destroy(error instanceof Error ? error : new Error(String(error), { cause: error }));
  }
}

/** The same bytes, in pieces of at least {@link BATCH_BYTES} but for the last. */
async function* inBatches(bytes: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    pieces.push(piece);
    size += piece.length;
    if (size < BATCH_BYTES) continue;
    yield joined(pieces, size);
    pieces = [];
    size = 0;
  }
  if (size > 0) yield joined(pieces, size);
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [first] = pieces;
  return pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces, size);
}

function writable(stream: Gunzip): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
    if (stream.destroyed) done();
  });
}
