import { readdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSingleFileReader, createZipReader } from "@dinp/core/zip";
import { collect, run, stream } from "../build/support.js";
import { describeWith } from "../build/programs.js";
import { makeZip, type ZipEntry, type ZipOptions } from "./support/make-zip.js";

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "dinp-zip-"));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

interface Seen {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly linkTarget: string | null;
  readonly text: string;
}

interface Limits {
  readonly maxBytes?: number;
  readonly maxEntries?: number;
  readonly signal?: AbortSignal;
}

async function readAll(bytes: AsyncIterable<Uint8Array>, limits: Limits = {}): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  const options = { format: "zip" as const, maxBytes: 1e9, maxEntries: 10_000, ...limits };
  for await (const { path, type, mode, linkTarget, content } of createZipReader({ dir }).read(
    bytes,
    options,
  )) {
    seen.push({ path, type, mode, linkTarget, text: (await collect(content)).toString() });
  }
  return seen;
}

function readZip(
  entries: readonly ZipEntry[],
  options?: ZipOptions,
  limits?: Limits,
): Promise<readonly Seen[]> {
  return readAll(stream(makeZip(entries, options)), limits);
}

/** The files below the spool's folder, and the nameless ones that this process holds open there. */
async function leftovers(): Promise<readonly string[]> {
  const open = readdirSync("/proc/self/fd").map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return [...(await readdir(dir)), ...(await Promise.all(open)).filter((path) => path.startsWith(`${dir}/`))];
}

function refused(message: RegExp): object {
  return expect.objectContaining({
    code: "DINP_ARCHIVE_REFUSED",
    message: expect.stringMatching(message) as string,
  }) as object;
}

const index: ZipEntry = { name: "index.html", content: "<h1>hello</h1>" };

describe("a zip", () => {
  it("is read in the order of its places, with modes, folders and links", async () => {
    const seen = await readZip([
      { name: "bin/", mode: 0o040755 },
      { name: "bin/run", content: "#!/bin/sh\n", mode: 0o100755, deflate: true },
      { name: "ümlaut/ß.txt", content: "x".repeat(200_000), deflate: true },
      { name: "link", content: "bin/run", mode: 0o120777 },
      { name: "empty", content: "" },
      { name: "pipe", mode: 0o010644 },
    ]);
    expect(seen).toEqual([
      { path: "bin/", type: "directory", mode: 0o755, linkTarget: null, text: "" },
      { path: "bin/run", type: "file", mode: 0o755, linkTarget: null, text: "#!/bin/sh\n" },
      { path: "ümlaut/ß.txt", type: "file", mode: 0o644, linkTarget: null, text: "x".repeat(200_000) },
      { path: "link", type: "symlink", mode: 0o777, linkTarget: "bin/run", text: "" },
      { path: "empty", type: "file", mode: 0o644, linkTarget: null, text: "" },
      { path: "pipe", type: "other", mode: 0o644, linkTarget: null, text: "" },
    ]);
    expect(await leftovers()).toEqual([]);
  });

  it("made on DOS has slashes for backslashes and usual modes", async () => {
    const seen = await readZip([
      { name: "a\\b.txt", content: "x", mode: null },
      { name: "c\\", mode: null },
    ]);
    expect(seen.map(({ path, type, mode }) => [path, type, mode])).toEqual([
      ["a/b.txt", "file", 0o644],
      ["c/", "directory", 0o755],
    ]);
  });

  it("may have data descriptors, zip64 records, a comment and bytes in front", async () => {
    const entries = [
      { ...index, descriptor: true, deflate: true },
      { name: "b", content: "b", zip64: true },
    ];
    const expected = ["<h1>hello</h1>", "b"];
    const options = { comment: "made by hand", prefix: Buffer.from("#!/bin/sh\nexit\n") };
    expect((await readZip(entries, options)).map(({ text }) => text)).toEqual(expected);
    expect((await readZip(entries, { zip64: true })).map(({ text }) => text)).toEqual(expected);
  });

  it("may have UTF-8 names that do not say so, and Info-ZIP's field for them", async () => {
    const plain = Buffer.from("?.txt");
    const field = Buffer.concat([Buffer.alloc(9), Buffer.from("ß.txt")]);
    field.writeUInt16LE(0x7075, 0);
    field.writeUInt16LE(field.length - 4, 2);
    field.writeUInt8(1, 4);
    field.writeUInt32LE(crc32(plain), 5);
    const seen = await readZip([
      { name: "ä.txt", flags: 0 },
      { name: plain, flags: 0, extra: field },
    ]);
    expect(seen.map(({ path }) => path)).toEqual(["ä.txt", "ß.txt"]);
  });

  it("need not be read whole", async () => {
    const bytes = makeZip([{ name: "a", content: "x".repeat(1e6), deflate: true }, index]);
    const paths: string[] = [];
    const options = { format: "zip" as const, maxBytes: 1e9, maxEntries: 10 };
    for await (const { path, content } of createZipReader({ dir }).read(stream(bytes), options)) {
      paths.push(path);
      for await (const chunk of content) if (chunk.length > 0) break;
    }
    expect(paths).toEqual(["a", "index.html"]);
    for await (const entry of createZipReader({ dir }).read(stream(bytes), options)) {
      expect(entry.path).toBe("a");
      break;
    }
    expect(await leftovers()).toEqual([]);
  });
});

describeWith(["zip"], "a zip of Info-ZIP", () => {
  it("is read with its links, modes and names", async () => {
    const source = await mkdtemp(join(tmpdir(), "dinp-info-zip-"));
    await mkdir(join(source, "d"));
    await writeFile(join(source, "d/ä ß.txt"), "named");
    await writeFile(join(source, "run"), "#!/bin/sh\n".repeat(1_000));
    await chmod(join(source, "run"), 0o755);
    await symlink("run", join(source, "link"));
    const list = async (bytes: Buffer): Promise<unknown[]> =>
      (await readAll(stream(bytes)))
        .map(({ path, type, mode, linkTarget }) => [path, type, mode, linkTarget])
        .sort();
    const files = [
      ["d/", "directory", 0o755, null],
      ["d/ä ß.txt", "file", 0o644, null],
      ["run", "file", 0o755, null],
    ];
    // Into a pipe the sizes come after the files; zip cannot put links there.
    expect(await list(run("zip", ["-q", "-r", "-", "d", "run"], source))).toEqual(files);
    run("zip", ["-q", "-r", "-y", "all.zip", "d", "run", "link"], source);
    expect(await list(await readFile(join(source, "all.zip")))).toEqual(
      [...files, ["link", "symlink", 0o777, "run"]].sort(),
    );
    await rm(source, { recursive: true });
  });
});

describe("a zip is refused, naming the entry,", () => {
  const bomb = Buffer.alloc(1_000_000);
  const cases: [string, readonly ZipEntry[], RegExp, ZipOptions?, Limits?][] = [
    ["with a wrong checksum", [index, { name: "a", content: "a", crc: 1 }], /"a" is damaged: its checksum/],
    [
      "that tells too small a size",
      [{ name: "a", content: "abc", deflate: true, size: 2 }],
      /"a".*too many bytes/,
    ],
    [
      "that tells too large a size",
      [{ name: "a", content: "abc", deflate: true, size: 4 }],
      /"a".*not enough bytes/,
    ],
    [
      "that tells two sizes of a stored file",
      [index, { name: "a", content: "abc", size: 4 }],
      /after "index.html".*mismatch/,
    ],
    [
      "with bytes that are no deflate data",
      [{ name: "a", content: "abc", method: 8 }],
      /damaged in or after "a"/,
    ],
    [
      "with an encrypted entry",
      [index, { name: "s", content: "x".repeat(13), size: 1, flags: 0x801 }],
      /"s" is encrypted/,
    ],
    [
      "with a strongly encrypted entry",
      [index, { name: "s", flags: 0x841 }],
      /encrypted in or after "index.html"/,
    ],
    ["with an encrypted directory", [{ name: "s", flags: 0x2800 }], /"s" is encrypted/],
    ["with unknown compression", [{ name: "a", method: 12 }], /"a" is compressed by method 12/],
    ["with the same name twice", [index, index], /"index.html" twice/],
    [
      "with a name that is not UTF-8",
      [index, { name: Buffer.from([0x61, 0xff]) }],
      /after "index.html" is not UTF-8/,
    ],
    [
      "with another name in its header",
      [{ ...index, localName: "other.html" }],
      /"index.html" has another name/,
    ],
    [
      "with more entries than it says",
      [index, { name: "hidden" }],
      /more entries than it says/,
      { entryCount: 1 },
    ],
    ["with fewer entries than it says", [index], /truncated in or after "index.html"/, { entryCount: 2 }],
    ["with entries that overlap", [index, { ...index, name: "index.html2", at: 0 }], /another name/],
    ["with an entry beyond its end", [index, { name: "a", at: 1e9 }], /truncated in or after "a"/],
    ["with a place that is no header", [index, { name: "a", at: 3 }], /damaged in or after "a"/],
    ["that is a part of several", [index], /part of one that was split/, { disk: 1 }],
    [
      "with too long a link",
      [{ name: "l", content: "x".repeat(4_097), mode: 0o120777 }],
      /link "l" is too long/,
    ],
    [
      "with a link that is not UTF-8",
      [{ name: "l", content: Buffer.from([0xff]), mode: 0o120777 }],
      /"l" is not UTF-8/,
    ],
    [
      "with too many entries",
      [index, { name: "b" }, { name: "c" }],
      /more than 2 entries/,
      {},
      { maxEntries: 2 },
    ],
    [
      "with too many bytes",
      [index, { name: "b", content: "x".repeat(99) }],
      /more than 100 bytes .*"b"/,
      {},
      { maxBytes: 100 },
    ],
    [
      "with a large entry that says it is small",
      [{ name: "b", content: bomb, deflate: true, size: 5 }],
      /"b".*too many/,
    ],
    [
      "with a wrong checksum of a large entry",
      [{ name: "b", content: bomb, deflate: true, crc: 1 }],
      /"b" is damaged: its checksum/,
    ],
    [
      "with a large entry cut short",
      [{ name: "b", content: bomb, deflate: true, size: 1_000_001 }],
      /"b".*not enough bytes/,
    ],
    ["that is a bomb", [{ name: "z", content: "", deflate: true, size: 9e8 }], /more than 200 times .*"z"/],
  ];
  it.each(cases)("%s", async (_, entries, message, options = {}, limits = {}) => {
    await expect(readZip(entries, options, limits)).rejects.toEqual(refused(message));
    expect(await leftovers()).toEqual([]);
  });

  it("with entries that share bytes", async () => {
    // The second entry's header lies in the first one's content.
    const inner = makeZip([{ name: "in", content: "x" }]);
    const outer = makeZip([
      { name: "out", content: inner },
      { name: "in", content: "x", at: 30 + "out".length },
    ]);
    await expect(readAll(stream(outer))).rejects.toEqual(refused(/"in" shares bytes/));
  });

  it("when it is cut anywhere, or has bytes behind its end", async () => {
    const bytes = makeZip([index, { name: "b", content: "x".repeat(300), deflate: true }]);
    for (let length = 0; length < bytes.length; length += 1) {
      await expect(readAll(stream(bytes.subarray(0, length)))).rejects.toEqual(refused(/./));
    }
    await expect(readAll(stream(Buffer.concat([bytes, Buffer.from("x")])))).rejects.toEqual(
      refused(/bytes behind its end/),
    );
    await expect(readAll(stream(Buffer.from("PK\x03\x04 and no more")))).rejects.toEqual(refused(/no zip/));
  });

  it("or read right, whichever of its bytes are changed", { timeout: 60_000 }, async () => {
    const entries = [index, { name: "b", content: "x".repeat(100), deflate: true, descriptor: true }];
    const bytes = makeZip(entries);
    const contents = new Set(["<h1>hello</h1>", "x".repeat(100)]);
    const change = fc.record({ at: fc.nat(bytes.length - 1), to: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const changed = Buffer.from(bytes);
        for (const { at, to } of changes) changed[at] = to;
        try {
          for (const { type, text } of await readAll(stream(changed))) {
            if (type === "file") expect(contents).toContain(text);
          }
        } catch (error) {
          expect(error).toEqual(refused(/./));
        }
      }),
      { numRuns: 300 },
    );
    expect(await leftovers()).toEqual([]);
  });
});

describe("an upload on its way to disk", () => {
  it("is bounded, and its own failure comes out as it is", async () => {
    const big = makeZip([{ name: "a", content: Buffer.alloc(20_000_000) }]);
    await expect(readAll(stream(big, 1e6), { maxBytes: 1_000, maxEntries: 10 })).rejects.toEqual(
      refused(/more than \d+ bytes/),
    );
    const broken = new Error("connection reset");
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from("PK"));
      throw broken;
    };
    await expect(readAll(failing())).rejects.toBe(broken);
    expect(await leftovers()).toEqual([]);
  });

  it("ends with its signal, even when the upload hangs", async () => {
    const stop = new AbortController();
    const hanging = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("PK");
      stop.abort();
      await new Promise(() => undefined);
    };
    await expect(readAll(hanging(), { signal: stop.signal })).rejects.toMatchObject({ code: "DINP_ABORTED" });
    expect(await leftovers()).toEqual([]);
  });

  it("says when there is no place for it", async () => {
    const reader = createZipReader({ dir: "/dev/null/nowhere" });
    const entries = reader.read(stream(makeZip([index])), { format: "zip", maxBytes: 1e6, maxEntries: 9 });
    await expect(entries[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: true,
    });
  });

  it("may be one file", async () => {
    const reader = createSingleFileReader({ dir });
    const bytes = Buffer.from("\x7fELF".padEnd(700_000, "x"));
    const seen: unknown[] = [];
    const options = { format: "file" as const, maxBytes: 1e6, maxEntries: 1 };
    for await (const { path, type, size, content } of reader.read(stream(bytes), options)) {
      seen.push([path, type, size, (await collect(content)).equals(bytes)]);
    }
    expect(seen).toEqual([["file", "file", bytes.length, true]]);
    const tooLarge = reader.read(stream(bytes), { ...options, maxBytes: 1_000 });
    await expect(tooLarge[Symbol.asyncIterator]().next()).rejects.toEqual(refused(/more than 1000 bytes/));
    expect(await leftovers()).toEqual([]);
  });
});
