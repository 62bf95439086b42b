import type { ByteSource, ByteStream } from "../ports/registry.js";

/** The stream of a source, from its beginning. */
export function openBytes(source: ByteSource): ByteStream {
  return typeof source === "function" ? source() : source;
}
