import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isDinpError } from "@dinp/core";
import { createTarArchive } from "@dinp/core/tar";
import { collect, makeTar, run, sealHeader, stream } from "../build/support.js";

const archive = createTarArchive();

interface Seen {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly linkTarget: string | null;
  readonly content: string;
}

async function readAll(bytes: AsyncIterable<Uint8Array>): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  const options = { format: "tar" as const, maxBytes: 1e8, maxEntries: 10_000 };
  for await (const { path, type, mode, size, linkTarget, content } of archive.read(bytes, options)) {
    const read = await collect(content);
    expect(read.length).toBe(size);
    seen.push({ path, type, mode, linkTarget, content: read.toString("hex") });
  }
  return seen;
}

const name = fc.string({
  unit: fc.constantFrom("a", "b", "Z", "0", "-", "_", ".", " ", "ü", "☃", "\u{1f600}"),
  minLength: 1,
  maxLength: 130,
});
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
const mode = fc.integer({ min: 1, max: 0o7777 });
const bytes = fc.uint8Array({ maxLength: 1_500, size: "max" });
const pieceSize = fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 20_000 }));

describe("what other programs write reads as they wrote it", () => {
  it("tar-stream: any names, links, modes and contents, in pieces of any size", async () => {
    const entry = fc.record({
      path,
      mode,
      bytes,
      type: fc.constantFrom("file" as const, "directory" as const, "symlink" as const, "link" as const),
      target: path,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 6 }), pieceSize, async (given, size) => {
        const isLink = (type: string): boolean => type === "symlink" || type === "link";
        const tar = await makeTar(
          given.map((item) => ({
            name: item.path,
            mode: item.mode,
            type: item.type,
            content: item.bytes,
            ...(isLink(item.type) ? { linkname: item.target } : {}),
          })),
        );
        expect(await readAll(stream(tar, size))).toEqual(
          given.map((item) => ({
            path: item.path,
            type: item.type === "link" ? "hardlink" : item.type,
            mode: item.mode,
            linkTarget: isLink(item.type) ? item.target : null,
            content: item.type === "file" ? Buffer.from(item.bytes).toString("hex") : "",
          })),
        );
      }),
      { numRuns: 100 },
    );
  });

  // V7 and ustar have no room for long names or links.
  it.each([
    ["v7", 30],
    ["ustar", 60],
    ["oldgnu", 200],
    ["gnu", 200],
    ["posix", 200],
  ])("GNU tar: any tree, as %s", async (format, nameBytesMax) => {
    const short = fc
      .string({
        unit: fc.constantFrom("a", "b", "Z", "0", "-", "_", " "),
        minLength: 1,
        maxLength: nameBytesMax,
      })
      .map((text) => `n${text}`);
    const file = fc.record({ folder: short, name: short, mode: fc.integer({ min: 0, max: 0o777 }), bytes });
    const tree = fc.uniqueArray(file, { selector: (item) => `${item.folder}/${item.name}`, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(tree, short, pieceSize, async (given, target, size) => {
        const dir = await mkdtemp(join(tmpdir(), "dinp-tar-"));
        try {
          const expected = new Map<string, Omit<Seen, "path">>();
          for (const item of given) {
            const at = `d/${item.folder}/${item.name}`;
            await mkdir(dirname(join(dir, at)), { recursive: true });
            await writeFile(join(dir, at), item.bytes);
            await chmod(join(dir, at), item.mode | 0o400);
            const content = Buffer.from(item.bytes).toString("hex");
            expected.set(at, { type: "file", mode: item.mode | 0o400, linkTarget: null, content });
          }
          await symlink(target, join(dir, "link"));
          expected.set("link", { type: "symlink", mode: 0o777, linkTarget: target, content: "" });
          const names = given.length === 0 ? ["link"] : ["link", "d"];
          const tar = run("tar", ["--format", format, "-cf", "-", ...names], dir);
          const seen = await readAll(stream(tar, size));
          const found = seen
            .filter(({ type }) => type !== "directory")
            .map(({ path: at, ...rest }) => [at, rest] as const);
          expect(new Map(found)).toEqual(expected);
          const folders = new Set(given.map((item) => `d/${item.folder}/`));
          for (const folder of folders) expect(seen.map(({ path: at }) => at)).toContain(folder);
        } finally {
          await rm(dir, { recursive: true });
        }
      }),
      { numRuns: 4 },
    );
  });
});

/** A change to an archive; `at` and `length` are parts of its length. */
type Mutation =
  | { readonly kind: "set"; readonly at: number; readonly bytes: Uint8Array; readonly seals: boolean }
  | { readonly kind: "cut"; readonly at: number; readonly length: number }
  | { readonly kind: "repeat"; readonly at: number; readonly length: number };

function mutate(tar: Buffer, mutation: Mutation): Buffer {
  const at = Math.floor(mutation.at * tar.length);
  if (mutation.kind === "set") {
    const changed = Buffer.from(tar);
    changed.set(mutation.bytes.subarray(0, tar.length - at), at);
    const block = at - (at % 512);
    return mutation.seals && block + 512 <= tar.length ? sealHeader(changed, block) : changed;
  }
  const end = Math.min(tar.length, at + Math.floor(mutation.length * tar.length));
  const { kind } = mutation;
  return Buffer.concat([tar.subarray(0, kind === "cut" ? at : end), tar.subarray(kind === "cut" ? end : at)]);
}

it("whatever is changed in an archive, it ends, in entries or in a refusal", async () => {
  const long = "long-name/".repeat(30);
  const ofTarStream = await makeTar([
    { name: "first", content: "one" },
    { name: `${long}ü`, content: "x".repeat(2_000), pax: { comment: "none", size: "2000" } },
    { name: "link", type: "symlink", linkname: long },
    { name: "last", content: "end" },
  ]);
  const dir = await mkdtemp(join(tmpdir(), "dinp-tar-"));
  try {
    await mkdir(join(dir, long), { recursive: true });
    await writeFile(join(dir, long, "f"), "text");
    await symlink(long, join(dir, "to"));
    const ofGnuTar = run("tar", ["--format=gnu", "-cf", "-", `${long}f`, "to"], dir);
    const part = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const value = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 12 }),
      fc
        .constantFrom("xgLKN0125S", "77777777777", "99 size=-1\n", "-1", "\u0000")
        .map((text) => Buffer.from(text)),
      fc.constant(Buffer.alloc(512)),
    );
    const mutation: fc.Arbitrary<Mutation> = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), at: part, bytes: value, seals: fc.boolean() }),
      fc.record({ kind: fc.constant("cut" as const), at: part, length: part }),
      fc.record({ kind: fc.constant("repeat" as const), at: part, length: part }),
    );
    const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(ofTarStream, ofGnuTar),
        mutations,
        fc.integer({ min: 64, max: 5_000 }),
        async (tar, changes, size) => {
          const outcome = await readAll(stream(changes.reduce(mutate, tar), size)).catch((e: unknown) => e);
          if (Array.isArray(outcome)) return;
          if (!isDinpError(outcome) || outcome.code !== "DINP_ARCHIVE_REFUSED") throw outcome;
        },
      ),
      { numRuns: 1_000, interruptAfterTimeLimit: 5_000 },
    );
  } finally {
    await rm(dir, { recursive: true });
  }
});

describe("headers", () => {
  it("may sum their bytes as signed ones", async () => {
    const tar = await makeTar([{ name: "nxx", content: "one" }]);
    Buffer.from("é").copy(tar, 1);
    const block = tar.subarray(0, 512);
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + (byte > 127 ? byte - 256 : byte), 0);
    tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    expect(await readAll(stream(tar))).toMatchObject([{ path: "né", content: "6f6e65" }]);
    tar.write(`${(sum - 256).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    await expect(readAll(stream(tar))).rejects.toMatchObject({ code: "DINP_ARCHIVE_REFUSED" });
  });

  it("may have their size in base 256", async () => {
    const tar = await makeTar([{ name: "n", content: "one" }]);
    tar.write("800000000000000000000003", 124, "hex");
    expect(await readAll(stream(sealHeader(tar)))).toMatchObject([{ path: "n", content: "6f6e65" }]);
  });

  it("for the whole archive hold until an entry's own or the next such one says otherwise", async () => {
    const first = await makeTar([
      { name: "own", content: "1", pax: { path: "mine" } },
      { name: "other", content: "2" },
    ]);
    const global = (await makeTar([{ name: "x", pax: { path: "all" } }])).subarray(0, 1_024);
    global.write("g", 156, "latin1");
    const back = Buffer.from(global);
    back.fill(0, 512).write("8 path=\n", 512, "latin1");
    back.write("00000000010", 124, "latin1");
    const tar = Buffer.concat([sealHeader(global), first.subarray(0, -1_024), sealHeader(back), first]);
    const paths = (await readAll(stream(tar))).map((entry) => entry.path);
    expect(paths).toEqual(["mine", "all", "mine", "other"]);
  });

  it.each(["no length", "99 path=beyond its end\n", "8 path=a", "0 path=x\n", "6 path\n", "1e1 path=x\n"])(
    "with the PAX record %j are refused",
    async (record) => {
      const tar = await makeTar([{ name: "n", content: "one", pax: { path: "p" } }]);
      tar.fill(0, 512, 1_024).write(record, 512, "latin1");
      tar.write(record.length.toString(8).padStart(11, "0"), 124, "latin1");
      await expect(readAll(stream(sealHeader(tar)))).rejects.toMatchObject({
        code: "DINP_ARCHIVE_REFUSED",
        message: expect.stringContaining("damaged PAX records") as string,
      });
    },
  );

  it("without the entry that they are for are refused", async () => {
    const tar = await makeTar([
      { name: "first", content: "one" },
      { name: "n", content: "two", pax: { path: "p" } },
    ]);
    await expect(readAll(stream(tar.subarray(0, 2_048)))).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
      message: expect.stringMatching(/truncated.*"first"/) as string,
    });
  });
});
