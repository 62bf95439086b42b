import type { Archive, ArchiveFormat, ArchiveReader } from "../ports/archive.js";

/** An archive that reads each format by its own reader, and all others, and writes, by `archive`. */
export function combineArchives(
  archive: Archive,
  readers: Readonly<Partial<Record<ArchiveFormat, ArchiveReader>>>,
): Archive {
  return {
    read: (bytes, options) => (readers[options.format] ?? archive).read(bytes, options),
    write: (entries, options) => archive.write(entries, options),
  };
}
