import type { Archive, ArchiveEntry, ByteStream } from "@dinp/core";
import { readTar } from "./read-tar.js";
import { reuseMemory } from "./reuse-memory.js";
import { writeTar } from "./write-tar.js";

/**
 * Tar archives as streams. Reads POSIX ustar, PAX and GNU names, plain or gzipped; writes POSIX ustar with PAX headers
 * where a name needs them, byte for byte the same for the same entries.
 *
 * Errors: those of the port. Besides its limits, a gzip that grows more than 200-fold beyond 64 MiB is refused, as is an
 * archive without its end marker. A failure of the given stream itself comes out as it is.
 */
export class TarArchive implements Archive {
  read(bytes: ByteStream, options: Parameters<Archive["read"]>[1]): AsyncIterable<ArchiveEntry> {
    return readTar(bytes, options);
  }

  write(entries: AsyncIterable<ArchiveEntry>, options?: { readonly signal?: AbortSignal }): ByteStream {
    return writeTar(entries, options?.signal);
  }
}

/** A {@link TarArchive}. */
export function createTarArchive(): Archive {
  reuseMemory();
  return new TarArchive();
}
