import { pipeline } from "node:stream";
import { createGzip } from "node:zlib";
import { abortableStream, mediaTypes, type ByteStream, type Compressor } from "@dinp/core";

/** Fast rather than small: level 6 takes about three times as long for a tenth less. */
const LEVEL = 1;
const CHUNK_BYTES = 64 * 1024;
/** The compressor runs in a thread of its own; this much may wait for it. */
const WAITING_BYTES = 1024 * 1024;

/**
 * Compresses with gzip (RFC 1952), level 1, the header's time 0 and no file name. The same bytes give the same output
 * with the same Node.js on the same kind of processor; another zlib may find other matches, so digests of compressed
 * layers are not to be compared between machines (their diff ids are).
 */
export function createGzipCompressor(): Compressor {
  return {
    layerMediaType: mediaTypes.layerTarGzip,
    compress: (bytes, options) => gzip(abortableStream(bytes, options?.signal)),
  };
}

async function* gzip(bytes: ByteStream): AsyncGenerator<Uint8Array, void, undefined> {
  const options = { level: LEVEL, chunkSize: CHUNK_BYTES, writableHighWaterMark: WAITING_BYTES };
  const zipped = createGzip(options);
  pipeline(bytes, zipped, () => undefined);
  try {
    for await (const chunk of zipped) {
      if (chunk instanceof Uint8Array) yield chunk;
    }
  } finally {
    zipped.destroy();
  }
}
