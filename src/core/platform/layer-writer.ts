import { mediaTypes, type ImageParts } from "../build/image-plan.js";
import type { Archive, ArchiveEntry } from "../ports/archive.js";
import type { Compressor } from "../ports/compressor.js";
import type { ByteStream, Registry } from "../ports/registry.js";
import type { Hasher, RunningHash } from "../ports/system.js";

/** A layer as it is stored, and the digest of its uncompressed tar. */
export type WrittenLayer = Pick<ImageParts, "layer" | "diffId">;

/** Stores layers: entries → tar → (compressed) → registry, in one pass. */
export class LayerWriter {
  readonly #ports: {
    readonly registry: Registry;
    readonly archive: Archive;
    readonly hasher: Hasher;
    readonly compressor?: Compressor;
  };

  constructor(ports: {
    readonly registry: Registry;
    readonly archive: Archive;
    readonly hasher: Hasher;
    readonly compressor?: Compressor;
  }) {
    this.#ports = ports;
  }

  async write(
    repository: string,
    entries: AsyncIterable<ArchiveEntry>,
    signal: AbortSignal,
  ): Promise<WrittenLayer> {
    const { registry, archive, hasher, compressor } = this.#ports;
    const tar = new FailureKeeper(archive.write(entries, { signal }));
    try {
      if (compressor === undefined) {
        const blob = await registry.writeBlob(repository, tar, { signal });
        return { layer: { mediaType: mediaTypes.layerTar, ...blob }, diffId: blob.digest };
      }
      const hash = hasher.sha256();
      const compressed = compressor.compress(hashed(tar, hash), { signal });
      const blob = await registry.writeBlob(repository, compressed, { signal });
      const layer = { mediaType: compressor.layerMediaType, ...blob };
      return { layer, diffId: `sha256:${hash.digestHex()}` };
    } catch (error) {
      // What went wrong in the archive says more than what a registry makes of a broken stream.
      throw tar.failure === null ? error : tar.failure.error;
    }
  }
}

/** The same bytes, which the hash sees as they pass. */
async function* hashed(bytes: ByteStream, hash: RunningHash): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
}

/** A stream that remembers what it failed with. */
class FailureKeeper implements AsyncIterable<Uint8Array> {
  readonly #bytes: ByteStream;
  #failure: { readonly error: unknown } | null = null;

  constructor(bytes: ByteStream) {
    this.#bytes = bytes;
  }

  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#bytes;
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}
