export interface Frame {
  readonly stream: "stdout" | "stderr";
  /** A piece of what was written, not always the whole of one writing. */
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 8;

/**
 * Output in the engine's framing (Docker Engine API, ContainerAttach, "Stream format"): 8 bytes of header (the stream, three
 * zeros, the length in big endian) before each piece.
 */
export async function* readFrames(source: AsyncIterable<unknown>): AsyncGenerator<Frame, void, undefined> {
  let header = Buffer.alloc(0);
  let left = 0;
  let stream: Frame["stream"] = "stdout";
  for await (const chunk of source) {
    let rest = chunk as Buffer;
    while (rest.length > 0) {
      if (left === 0) {
        const wanted = HEADER_BYTES - header.length;
        header = Buffer.concat([header, rest.subarray(0, wanted)]);
        rest = rest.subarray(wanted);
        if (header.length < HEADER_BYTES) break;
        stream = header[0] === 2 ? "stderr" : "stdout";
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const bytes = rest.subarray(0, left);
      rest = rest.subarray(bytes.length);
      left -= bytes.length;
      yield { stream, bytes };
    }
  }
}
