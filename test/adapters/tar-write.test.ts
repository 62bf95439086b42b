import { mkdtemp, readFile, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ArchiveEntry } from "@dinp/core";
import { createTarArchive } from "@dinp/core/tar";
import { collect, stream } from "../build/support.js";

const archive = createTarArchive();

type Given = Omit<ArchiveEntry, "content" | "size"> & { readonly bytes: Uint8Array };

async function* entries(given: readonly Given[]): AsyncGenerator<ArchiveEntry> {
  for (const { bytes, ...entry } of given) {
    yield { ...entry, size: bytes.length, content: stream(bytes, 1_000) };
  }
}

function file(path: string, text = "", mode = 0o644): Given {
  return { path, type: "file", mode, linkTarget: null, bytes: Buffer.from(text) };
}

describe("writing", () => {
  it("gives back what was written, for any names and contents", async () => {
    const name = fc
      .string({ unit: "binary", minLength: 1, maxLength: 300 })
      .filter((text) => !text.includes("\0") && !text.endsWith("/") && Buffer.from(text).toString() === text);
    const entry = fc.record({
      path: name,
      mode: fc.integer({ min: 0, max: 0o777 }),
      bytes: fc.uint8Array({ maxLength: 3_000 }),
      type: fc.constantFrom("file" as const, "symlink" as const, "hardlink" as const, "directory" as const),
      target: name,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 6 }),
        fc.integer({ min: 1, max: 5_000 }),
        async (list, size) => {
          const given = list.map(({ target, ...rest }) => ({
            ...rest,
            bytes: rest.type === "file" ? rest.bytes : new Uint8Array(0),
            linkTarget: rest.type === "symlink" || rest.type === "hardlink" ? target : null,
          }));
          const tar = await collect(archive.write(entries(given)));
          const seen: Given[] = [];
          for await (const { content, path, type, mode, linkTarget } of archive.read(stream(tar, size), {
            format: "tar",
            maxBytes: 1e9,
            maxEntries: 100,
          })) {
            seen.push({ path, type, mode, linkTarget, bytes: new Uint8Array(await collect(content)) });
          }
          const plain = (item: Given): Given => ({
            ...item,
            path: item.type === "directory" ? `${item.path}/` : item.path,
          });
          expect(seen).toEqual(
            given.map(plain).map((item) => ({ ...item, bytes: new Uint8Array(item.bytes) })),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  it("is unpacked by GNU tar, long and foreign names too", async () => {
    const dir = await mkdtemp(join(tmpdir(), "dinp-tar-"));
    try {
      const long = `${"very-long-folder/".repeat(20)}${"f".repeat(150)}`;
      const edge = `${"d".repeat(100)}/${"e".repeat(54)}/${"n".repeat(100)}`;
      const given: readonly Given[] = [
        file(long, "long", 0o755),
        file(edge, "edge"),
        file("ümlaut/日本.txt", "named"),
        { path: "to-long", type: "symlink", mode: 0o777, linkTarget: long, bytes: Buffer.alloc(0) },
        { path: "same", type: "hardlink", mode: 0o755, linkTarget: long, bytes: Buffer.alloc(0) },
        { path: "empty", type: "directory", mode: 0o755, linkTarget: null, bytes: Buffer.alloc(0) },
      ];
      const tar = await collect(archive.write(entries(given)));
      execFileSync("tar", ["-xf", "-", "-C", dir], { input: tar });
      expect(await readFile(join(dir, long), "utf8")).toBe("long");
      expect((await stat(join(dir, long))).mode & 0o777).toBe(0o755);
      expect(await readFile(join(dir, edge), "utf8")).toBe("edge");
      expect(await readFile(join(dir, "ümlaut/日本.txt"), "utf8")).toBe("named");
      expect(await readlink(join(dir, "to-long"))).toBe(long);
      expect((await stat(join(dir, "same"))).ino).toBe((await stat(join(dir, long))).ino);
      expect((await stat(join(dir, "empty"))).isDirectory()).toBe(true);
      expect((await stat(join(dir, edge))).mtimeMs).toBe(0);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it("holds a file of more than 8 GiB in its header", async () => {
    const size = 9 * 1024 ** 3;
    const given = async function* (): AsyncGenerator<ArchiveEntry> {
      yield { path: "big", type: "file", mode: 0o644, size, linkTarget: null, content: endless() };
    };
    const bytes = archive.write(given());
    const options = { format: "tar" as const, maxBytes: 1e13, maxEntries: 1 };
    for await (const entry of archive.read(bytes, options)) {
      expect(entry).toMatchObject({ path: "big", size });
      break;
    }
  });

  it("refuses content that is not as long as announced", async () => {
    for (const size of [2, 4]) {
      const given = async function* (): AsyncGenerator<ArchiveEntry> {
        const content = stream(Buffer.from("abc"));
        yield { path: "odd", type: "file", mode: 0o644, size, linkTarget: null, content };
      };
      await expect(collect(archive.write(given()))).rejects.toMatchObject({
        code: "DINP_INVALID",
        message: expect.stringContaining('"odd"') as string,
      });
    }
  });

  it("asks for one entry at a time, and for no more than its reader takes", async () => {
    let asked = 0;
    const given = async function* (): AsyncGenerator<ArchiveEntry> {
      for (;;) {
        asked += 1;
        const content = stream(Buffer.alloc(100_000), 100_000);
        yield {
          path: `f${String(asked)}`,
          type: "file",
          mode: 0o644,
          size: 100_000,
          linkTarget: null,
          content,
        };
      }
    };
    let taken = 0;
    for await (const chunk of archive.write(given())) {
      taken += chunk.length;
      if (taken > 1_000_000) break;
    }
    expect(asked).toBeLessThanOrEqual(11);
  });

  it("stops when its signal aborts", async () => {
    const stop = new AbortController();
    const given = async function* (): AsyncGenerator<ArchiveEntry> {
      yield { path: "big", type: "file", mode: 0o644, size: 1e9, linkTarget: null, content: endless() };
    };
    const writing = async (): Promise<void> => {
      for await (const chunk of archive.write(given(), { signal: stop.signal }))
        if (chunk.length > 0) stop.abort();
    };
    await expect(writing()).rejects.toMatchObject({ code: "DINP_ABORTED" });
  });
});

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield Buffer.alloc(65_536);
}
