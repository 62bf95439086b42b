import { mkdir, mkdtemp, rm, symlink, link, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ArchiveFormat } from "@dinp/core";
import { createTarArchive } from "@dinp/core/tar";
import { collect, makeTar, makeTarGz, run, sealHeader, stream } from "../build/support.js";

const archive = createTarArchive();

interface Seen {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly linkTarget: string | null;
  readonly text: string;
}

async function readAll(
  bytes: AsyncIterable<Uint8Array>,
  format: ArchiveFormat = "tar",
  limits: { readonly maxBytes?: number; readonly maxEntries?: number } = {},
): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  const options = { format, maxBytes: 1e9, maxEntries: 10_000, ...limits };
  for await (const { path, type, mode, linkTarget, content } of archive.read(bytes, options)) {
    seen.push({ path, type, mode, linkTarget, text: (await collect(content)).toString() });
  }
  return seen;
}

function refused(message: RegExp): object {
  return expect.objectContaining({
    code: "DINP_ARCHIVE_REFUSED",
    message: expect.stringMatching(message) as string,
  }) as object;
}

const sample = [
  { name: "app/", type: "directory" as const, mode: 0o755 },
  { name: "app/a.txt", content: "alpha", mode: 0o640 },
  { name: "app/run", content: "#!/bin/sh\n", mode: 0o4755 },
  { name: "app/link", type: "symlink" as const, linkname: "a.txt", mode: 0o777 },
  { name: "app/hard", type: "link" as const, linkname: "app/a.txt", mode: 0o640 },
];

describe("archives of other programs", () => {
  const long = `${"deep-folder-name/".repeat(12)}${"n".repeat(120)}.txt`;
  let dir: string;
  let source: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "dinp-tar-"));
    source = join(dir, "source");
    await mkdir(join(source, "deep-folder-name/".repeat(12)), { recursive: true });
    await writeFile(join(source, long), "long");
    await writeFile(join(source, "ümlaut ß.txt"), "named");
    await writeFile(join(source, "empty"), "");
    await symlink(long, join(source, "to-long"));
    await link(join(source, "empty"), join(source, "empty-too"));
  });
  afterAll(() => rm(dir, { recursive: true }));

  it.each(["gnu", "posix", "oldgnu"])(
    "reads what GNU tar writes as %s, long names and links too",
    async (format) => {
      const bytes = run("tar", ["--format", format, "--sort=name", "-czf", "-", "."], source);
      const seen = await readAll(stream(bytes, 777), "tar.gz");
      const byPath = new Map(seen.map((entry) => [entry.path.replace(/^\.\//, ""), entry]));
      expect(byPath.get(long)?.text).toBe("long");
      expect(byPath.get("ümlaut ß.txt")?.text).toBe("named");
      expect(byPath.get("to-long")).toMatchObject({ type: "symlink", linkTarget: long });
      expect(byPath.get("empty-too")).toMatchObject({ type: "hardlink", linkTarget: "./empty" });
      expect(byPath.get("deep-folder-name/")?.type).toBe("directory");
    },
  );

  it.each(["gnu", "posix", "oldgnu"])(
    "reads a file as one where the part of its path that %s's header has room for is a folder's",
    async (format) => {
      const names = [98, 99, 100].map((length) => `${"f".repeat(length)}/${"n".repeat(120)}`);
      for (const name of names) {
        await mkdir(join(dir, dirname(name)));
        await writeFile(join(dir, name), "found");
      }
      const bytes = run("tar", ["--format", format, "-cf", "-", ...names], dir);
      for (const name of names) await rm(join(dir, dirname(name)), { recursive: true });
      expect(await readAll(stream(bytes, 777))).toMatchObject(
        names.map((path) => ({ path, type: "file", text: "found" })),
      );
    },
  );

  it.each(["ustar", "v7"])("reads what GNU tar writes as %s", async (format) => {
    const bytes = run("tar", ["--format", format, "-cf", "-", "empty", "ümlaut ß.txt"], source);
    expect((await readAll(stream(bytes))).map(({ path, text }) => [path, text])).toEqual([
      ["empty", ""],
      ["ümlaut ß.txt", "named"],
    ]);
  });

  it("reads gzip of several members, as `cat a.gz b.gz` makes it", async () => {
    const tar = await makeTar(sample);
    const bytes = Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]);
    expect(await readAll(stream(bytes, 100), "tar.gz")).toHaveLength(sample.length);
  });

  it("reads sparse files as something else than files", async () => {
    run("truncate", ["-s", "1M", "sparse"], dir);
    const bytes = run("tar", ["--format=posix", "-S", "-cf", "-", "sparse"], dir);
    expect((await readAll(stream(bytes))).map(({ type }) => type)).toEqual(["other"]);
  });
});

describe("entries", () => {
  it("come in order with type, mode, links and content, whatever the size of the pieces", async () => {
    const tar = await makeTar(sample);
    for (const size of [1, 511, 512, 513, tar.length]) {
      expect(await readAll(stream(tar, size))).toEqual([
        { path: "app/", type: "directory", mode: 0o755, linkTarget: null, text: "" },
        { path: "app/a.txt", type: "file", mode: 0o640, linkTarget: null, text: "alpha" },
        { path: "app/run", type: "file", mode: 0o4755, linkTarget: null, text: "#!/bin/sh\n" },
        { path: "app/link", type: "symlink", mode: 0o777, linkTarget: "a.txt", text: "" },
        { path: "app/hard", type: "hardlink", mode: 0o640, linkTarget: "app/a.txt", text: "" },
      ]);
    }
  });

  it("may be left unread, or half read", async () => {
    const big = "x".repeat(300_000);
    const tar = await makeTar([
      { name: "a", content: big },
      { name: "b", content: big },
      { name: "c", content: "end" },
    ]);
    const seen: string[] = [];
    for await (const entry of archive.read(stream(tar), { format: "tar", maxBytes: 1e9, maxEntries: 10 })) {
      seen.push(entry.path);
      if (entry.path === "b") for await (const chunk of entry.content) if (chunk.length > 0) break;
      if (entry.path === "c") expect((await collect(entry.content)).toString()).toBe("end");
    }
    expect(seen).toEqual(["a", "b", "c"]);
  });

  it("release their source when the reader leaves", async () => {
    const tar = await makeTarGz([{ name: "a", content: "x".repeat(5_000_000) }, ...sample]);
    let released = false;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield* stream(tar, 100);
      } finally {
        released = true;
      }
    };
    for await (const entry of archive.read(source(), { format: "tar.gz", maxBytes: 1e9, maxEntries: 10 })) {
      expect(entry.path).toBe("a");
      break;
    }
    await expect.poll(() => released).toBe(true);
  });
});

describe("damaged input is refused, naming the place", () => {
  it("gzip cut anywhere", async () => {
    const bytes = await makeTarGz([
      { name: "first", content: "one" },
      { name: "random", content: noise(50_000) },
    ]);
    for (const length of [5, 20, 1_000, 30_000, bytes.length - 9, bytes.length - 1]) {
      await expect(readAll(stream(bytes.subarray(0, length)), "tar.gz")).rejects.toEqual(
        refused(/truncated/),
      );
    }
  });

  it("tar cut anywhere, between two entries too", async () => {
    const tar = await makeTar([
      { name: "first", content: "one" },
      { name: "second", content: noise(3_000) },
    ]);
    for (const length of [100, 511, 600, 1_024, 1_536, 2_000, 4_000]) {
      await expect(readAll(stream(tar.subarray(0, length), 64))).rejects.toEqual(refused(/truncated/));
    }
    await expect(readAll(stream(tar.subarray(0, 2_000)))).rejects.toEqual(refused(/"second"/));
  });

  it("nothing at all", async () => {
    await expect(readAll(stream(Buffer.alloc(0)), "tar")).rejects.toEqual(refused(/empty/));
    await expect(readAll(stream(Buffer.alloc(0)), "tar.gz")).rejects.toEqual(refused(/empty|truncated/));
  });

  it("what is no gzip, or no tar", async () => {
    const tar = await makeTar(sample);
    await expect(readAll(stream(tar), "tar.gz")).rejects.toEqual(refused(/not gzip/));
    await expect(readAll(stream(gzipSync(noise(20_000))), "tar.gz")).rejects.toEqual(refused(/not a tar/));
    await expect(readAll(stream(gzipSync(gzipSync(tar))), "tar.gz")).rejects.toEqual(
      refused(/not a tar|truncated/),
    );
  });

  it("a flipped byte in the gzip", async () => {
    const bytes = await makeTarGz([{ name: "first", content: noise(50_000) }]);
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    await expect(readAll(stream(bytes), "tar.gz")).rejects.toEqual(refused(/damaged|truncated/));
  });

  it("a wrong header checksum", async () => {
    const tar = await makeTar([
      { name: "first", content: "one" },
      { name: "second", content: "two" },
    ]);
    tar[1_024] = 0x41;
    await expect(readAll(stream(tar))).rejects.toEqual(refused(/after "first" has a wrong checksum/));
  });

  it.each([
    ["negative", "ffffffffffffffffffffff00"],
    ["beyond all numbers", "80ffffffffffffffffffffff"],
  ])("a size that is %s", async (_, size) => {
    const tar = await makeTar([{ name: "first", content: "one" }]);
    tar.write(size, 124, "hex");
    await expect(readAll(stream(sealHeader(tar)))).rejects.toEqual(
      refused(/impossible size|unpacks to more/),
    );
  });

  it.each(["-1", "abc", "99999999999999999999"])("a PAX size of %s", async (size) => {
    const tar = await makeTar([{ name: "first", content: "one", pax: { size } }]);
    await expect(readAll(stream(tar))).rejects.toEqual(refused(/impossible size|unpacks to more/));
  });
});

describe("bombs are refused while they are still small", () => {
  it("a gzip of zeros", async () => {
    const header = (await makeTar([{ name: "zeros", content: "" }])).subarray(0, 512);
    header.write("77777777777\0", 124, "latin1");
    const zeros = gzipSync(Buffer.alloc(50 * 1_048_576));
    // Members of one gzip, as `cat` joins them: 3 MB that become 3 GB.
    const bytes = Buffer.concat([
      gzipSync(sealHeader(Buffer.from(header))),
      ...Array<Buffer>(60).fill(zeros),
    ]);
    let sent = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of stream(bytes, 4_096)) {
        sent += chunk.length;
        yield chunk;
      }
    };
    await expect(readAll(source(), "tar.gz", { maxBytes: 1e11 })).rejects.toEqual(
      refused(/200 times.*"zeros"/),
    );
    expect(sent).toBeLessThan(bytes.length / 2);
  });

  it("more bytes than allowed, before they are read", async () => {
    const tar = await makeTar([
      { name: "a", content: noise(600) },
      { name: "b", content: noise(600) },
    ]);
    await expect(readAll(stream(tar), "tar", { maxBytes: 1_199 })).rejects.toEqual(
      refused(/1199 bytes.*"b"/),
    );
    expect(await readAll(stream(tar), "tar", { maxBytes: 1_200 })).toHaveLength(2);
  });

  it("more entries than allowed", async () => {
    const tar = await makeTar(sample);
    await expect(readAll(stream(tar), "tar", { maxEntries: 4 })).rejects.toEqual(
      refused(/4 entries.*"app\/hard"/),
    );
    expect(await readAll(stream(tar), "tar", { maxEntries: 5 })).toHaveLength(5);
  });

  it("padding without end", async () => {
    const tar = (await makeTar(sample)).subarray(0, -1_024);
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield tar;
      for (let i = 0; i < 100; i += 1) yield Buffer.alloc(1_048_576);
    };
    await expect(readAll(source())).rejects.toEqual(refused(/belong to no entry/));
  });
});

describe("the source's own troubles", () => {
  it.each(["tar", "tar.gz"] as const)("a failure comes out as it is (%s)", async (format) => {
    const bytes = format === "tar" ? await makeTar(sample) : await makeTarGz(sample);
    const failure = new Error("the connection broke");
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 100);
      throw failure;
    };
    await expect(readAll(source(), format)).rejects.toBe(failure);
  });

  it.each(["tar", "tar.gz"] as const)(
    "an abort ends the wait for a source that hangs (%s)",
    async (format) => {
      const bytes = format === "tar" ? await makeTar(sample) : await makeTarGz(sample);
      const stop = new AbortController();
      const source = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(0, 100);
        queueMicrotask(() => {
          stop.abort();
        });
        await new Promise(() => undefined);
      };
      const reading = async (): Promise<void> => {
        const options = { format, maxBytes: 1e9, maxEntries: 10, signal: stop.signal };
        for await (const entry of archive.read(source(), options)) expect(entry.path).toBeTypeOf("string");
      };
      await expect(reading()).rejects.toMatchObject({ code: "DINP_ABORTED" });
    },
  );
});

/** Bytes that do not compress, the same each time. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 12_345;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  expect(gunzipSync(gzipSync(bytes)).length).toBe(length);
  return bytes;
}
