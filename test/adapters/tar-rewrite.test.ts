import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ArchiveEntry } from "@dinp/core";
import { createTarArchive } from "@dinp/core/tar";
import { collect, makeTar, stream } from "../build/support.js";

const archive = createTarArchive();

function read(tar: Uint8Array, pieceBytes = tar.length): AsyncIterable<ArchiveEntry> {
  return archive.read(stream(tar, pieceBytes), { format: "tar", maxBytes: 1e9, maxEntries: 1_000 });
}

async function* files(contents: readonly Uint8Array[]): AsyncGenerator<ArchiveEntry> {
  for (const [index, bytes] of contents.entries()) {
    const path = `${"long-name/".repeat((index % 3) * 10)}${String(index)}`;
    const content = stream(bytes, 50_000);
    yield { path, type: "file", mode: 0o644, size: bytes.length, linkTarget: null, content };
  }
}

/** A text whose end shows when it is cut, or moved. */
function numbered(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}

describe("writing what is read", () => {
  it("gives the same bytes, however they come", async () => {
    const size = fc.oneof(fc.nat({ max: 2_000 }), fc.constantFrom(0, 511, 512, 513, 65_535, 65_536, 150_000));
    await fc.assert(
      fc.asyncProperty(
        fc.array(size, { maxLength: 40 }),
        fc.integer({ min: 200, max: 300_000 }),
        async (sizes, pieceBytes) => {
          const tar = await collect(archive.write(files(sizes.map(numbered))));
          const again = await collect(archive.write(read(tar, pieceBytes)));
          expect(Buffer.compare(again, tar)).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("refuses a file of which something was read before", async () => {
    const tar = await makeTar([{ name: "begun", content: "abcdef" }]);
    const begun = async function* (): AsyncGenerator<ArchiveEntry> {
      for await (const entry of read(tar, 515)) {
        await entry.content[Symbol.asyncIterator]().next();
        yield entry;
      }
    };
    await expect(collect(archive.write(begun()))).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringMatching(/"begun" has 3 of the 6 bytes/) as string,
    });
  });

  it("refuses a file whose turn is over", async () => {
    const tar = await makeTar([
      { name: "first", content: "abc" },
      { name: "second", content: "abcdef" },
    ]);
    const late = async function* (): AsyncGenerator<ArchiveEntry> {
      const all: ArchiveEntry[] = [];
      for await (const entry of read(tar)) all.push(entry);
      yield* all;
    };
    await expect(collect(archive.write(late()))).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringMatching(/"first" has 0 of the 3 bytes/) as string,
    });
  });
});
