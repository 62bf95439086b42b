import { tmpdir } from "node:os";
import type { ArchiveEntry, ArchiveReader, ByteStream } from "@dinp/core";
import { readRange, spool } from "./spool.js";
import type { SpoolOptions } from "./zip-reader.js";

/**
 * Reads an upload that is one file as an archive of one entry, named `file`. The size of an entry is told before its
 * content, so the upload is put on disk first.
 */
export class SingleFileReader implements ArchiveReader {
  readonly #dir: string;

  constructor(options: SpoolOptions = {}) {
    this.#dir = options.dir ?? tmpdir();
  }

  async *read(
    bytes: ByteStream,
    options: Parameters<ArchiveReader["read"]>[1],
  ): AsyncGenerator<ArchiveEntry, void, undefined> {
    const { maxBytes, signal } = options;
    const { handle, size } = await spool(bytes, { dir: this.#dir, bytesMax: maxBytes, signal });
    try {
      const content = readRange(handle, 0, size);
      yield { path: "file", type: "file", mode: 0o644, size, linkTarget: null, content };
    } finally {
      await handle.close();
    }
  }
}

/** A {@link SingleFileReader}. */
export function createSingleFileReader(options: SpoolOptions = {}): ArchiveReader {
  return new SingleFileReader(options);
}
