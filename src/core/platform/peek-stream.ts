import type { ByteStream } from "../ports/registry.js";

/**
 * The first bytes of a stream (`count` of them, fewer when it ends before), and the stream with them. That one must be
 * read once, or left: until then the given one waits.
 */
export async function peekStream(
  bytes: ByteStream,
  count: number,
): Promise<{ readonly head: Uint8Array; readonly bytes: ByteStream }> {
  const iterator = bytes[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let length = 0;
  let isEnded = false;
  while (length < count && !isEnded) {
    const next = await iterator.next();
    if (next.done === true) isEnded = true;
    else {
      held.push(next.value);
      length += next.value.length;
    }
  }
  return { head: joined(held, Math.min(length, count)), bytes: rest(held, iterator) };
}

async function* rest(
  held: readonly Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let isEnded = false;
  try {
    yield* held;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) {
        isEnded = true;
        return;
      }
      yield next.value;
    }
  } finally {
    if (!isEnded) await iterator.return?.();
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk.subarray(0, length - offset), offset);
    offset = Math.min(length, offset + chunk.length);
  }
  return bytes;
}
