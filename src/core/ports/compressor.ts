import type { ByteStream } from "./registry.js";

/** Makes image layers smaller. */
export interface Compressor {
  /** The media type of a layer that was compressed (image-spec 1.1, layer.md). */
  readonly layerMediaType: string;
  /**
   * The bytes, compressed, as a stream with back-pressure and bounded memory. Deterministic: the same bytes give the
   * same output, in whatever pieces they come. A failure of the given stream comes out as it is; `DINP_ABORTED`.
   */
  compress(bytes: ByteStream, options?: { readonly signal?: AbortSignal }): ByteStream;
}
