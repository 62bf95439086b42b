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

  /** `entries` may be a function that begins anew, the same ones each time: for a registry that has to be sent them again. */
  async write(
    repository: string,
    entries: AsyncIterable<ArchiveEntry> | (() => AsyncIterable<ArchiveEntry>),
    signal: AbortSignal,
  ): Promise<WrittenLayer> {
    const latest: { reading: LayerReading | null } = { reading: null };
    const open = (): ByteStream => {
      latest.reading = this.#read(typeof entries === "function" ? entries() : entries, signal);
      return latest.reading.bytes;
    };
    const source = typeof entries === "function" ? open : open();
    try {
      const blob = await this.#ports.registry.writeBlob(repository, source, { signal });
      if (latest.reading === null) throw new TypeError("The registry stored a layer that it has not read.");
      const { mediaType, diffIdOf } = latest.reading;
      return { layer: { mediaType, ...blob }, diffId: diffIdOf(blob.digest) };
    } catch (error) {
      // What went wrong in the archive says more than what a registry makes of a broken stream.
      const failure = latest.reading?.tar.failure ?? null;
      throw failure === null ? error : failure.error;
    }
  }

  #read(entries: AsyncIterable<ArchiveEntry>, signal: AbortSignal): LayerReading {
    const { archive, hasher, compressor } = this.#ports;
    const tar = new FailureKeeper(archive.write(entries, { signal }));
    if (compressor === undefined) {
      return { tar, bytes: tar, mediaType: mediaTypes.layerTar, diffIdOf: (digest) => digest };
    }
    const hash = hasher.sha256();
    return {
      tar,
      bytes: compressor.compress(hashed(tar, hash), { signal }),
      mediaType: compressor.layerMediaType,
      diffIdOf: () => `sha256:${hash.digestHex()}`,
    };
  }
}

/** A layer on its way from its entries to the registry. */
interface LayerReading {
  readonly tar: FailureKeeper;
  readonly bytes: ByteStream;
  readonly mediaType: string;
  /** The digest of the tar, of which `digest` is that of what was stored; once, at the end. */
  readonly diffIdOf: (digest: string) => string;
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
