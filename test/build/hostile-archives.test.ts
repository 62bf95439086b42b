import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { isDinpError, readImage, type BuildResult } from "@dinp/core";
import { createImageUnpacker } from "@dinp/core/process";
import { makeZip, type ZipEntry } from "../adapters/support/make-zip.js";
import { makeTar, openWorkshop, sealHeader, stream, type TestEntry, type Workshop } from "./support.js";

const repository = "apps/hostile";
const formats = ["tar", "tar.gz", "zip"] as const;
type Format = (typeof formats)[number];

/** An entry that each format writes in its own way. */
interface Entry {
  readonly name: string;
  readonly type?: "directory" | "symlink" | "link" | "fifo" | "block-device" | "character-device";
  /** Of a link. */
  readonly to?: string;
  readonly content?: string;
  readonly mode?: number;
}

const index: Entry = { name: "index.html", content: "<h1>hello</h1>" };

async function pack(format: Format, entries: readonly Entry[]): Promise<Buffer> {
  if (format === "zip") return makeZip(entries.map(zipEntry));
  const tar = await makeTar(entries.map(tarEntry));
  return format === "tar" ? tar : gzipSync(tar);
}

function tarEntry({ name, type, to, content = "", mode = 0o644 }: Entry): TestEntry {
  // Names that a header cannot hold as they are go into a PAX record, whatever the writer would make of them.
  return {
    name: name.replace(/[\0\n]/g, "?"),
    mode,
    content,
    ...(/[\0\n]/.test(name) ? { pax: { path: name } } : {}),
    ...(type === undefined ? {} : { type, devmajor: 8 }),
    ...(to === undefined ? {} : { linkname: to }),
  };
}

const typeBits = {
  directory: 0o040000,
  symlink: 0o120000,
  link: 0o100000,
  fifo: 0o010000,
  "block-device": 0o060000,
  "character-device": 0o020000,
};

function zipEntry({ name, type, to, content = "", mode = 0o644 }: Entry): ZipEntry {
  return {
    name: type === "directory" ? `${name}/` : name,
    content: to ?? content,
    mode: (type === undefined ? 0o100000 : typeBits[type]) | mode,
    deflate: to === undefined && content !== "",
  };
}

function build(workshop: Workshop, format: Format, bytes: Buffer): Promise<BuildResult> {
  return workshop.builder.build({ repository, bytes: stream(bytes), format, tag: "v1" });
}

interface Attempt {
  readonly code: string;
  readonly message: string;
  readonly entry: unknown;
  /** All files below the folder that holds the registry and the uploads. */
  readonly filesAfter: readonly string[];
}

/** A build that must be refused, in a folder with one file beside the builder's own. */
async function attempt(format: Format, bytes: Buffer): Promise<Attempt> {
  await using workshop = await openWorkshop();
  await writeFile(join(workshop.dir, "evil"), "as before");
  const outcome = await build(workshop, format, bytes).then(
    () => new Error("it was built"),
    (error: unknown) => error,
  );
  if (!isDinpError(outcome)) throw outcome;
  expect(await workshop.registry.list(repository)).toEqual([]);
  expect(await readFile(join(workshop.dir, "evil"), "utf8")).toBe("as before");
  const { code, message } = outcome;
  const found = await readdir(workshop.dir, { recursive: true, withFileTypes: true });
  const filesAfter = found.filter((item) => !item.isDirectory()).map(({ name }) => name);
  return { code, message, entry: outcome.details["entry"], filesAfter };
}

const link = (name: string, to: string): Entry => ({ name, type: "symlink", to });
const hardLink = (name: string, to: string): Entry => ({ name, type: "link", to });
const deep = `${"dd/".repeat(4_000)}f`;

/** What is in it, and the entry that is named. */
type Case = readonly [what: string, entries: readonly Entry[], named: string];

const hostile: readonly Case[] = [
  ["a path that climbs", [{ name: "../evil", content: "x" }], "../evil"],
  ["a path that climbs far", [{ name: `${"../".repeat(30)}tmp/evil` }], `${"../".repeat(30)}tmp/evil`],
  ["a path that climbs in its middle", [{ name: "a/../../evil" }], "a/../../evil"],
  ["a path that climbs and comes back", [{ name: "a/../b" }], "a/../b"],
  ["a folder that climbs", [{ name: "..", type: "directory" }], ".."],
  ["an absolute path", [{ name: "/etc/passwd" }], "/etc/passwd"],
  ["a doubly absolute path", [{ name: "//etc/passwd" }], "//etc/passwd"],
  ["a link to an absolute path", [link("out", "/etc")], "out"],
  ["a link out of the app", [link("out", "../../evil")], "out"],
  ["a link that climbs behind a name", [link("a/out", "b/../../../evil")], "a/out"],
  ["a file written through a link out", [link("d", ".."), { name: "d/evil" }], "d"],
  ["a file written through a link", [link("d", "."), { name: "d/evil" }], "d/evil"],
  ["a file written through a chain of links", [link("a", "b"), link("b", "."), { name: "a/x/y" }], "a/x/y"],
  ["a file in place of a link", [link("a", "b"), { name: "./a", content: "x" }], "a"],
  ["a file below a file", [index, { name: "index.html/x" }], "index.html/x"],
  ["a block device", [index, { name: "sda", type: "block-device" }], "sda"],
  ["a character device", [index, { name: "mem", type: "character-device" }], "mem"],
  ["a pipe", [index, { name: "pipe", type: "fifo" }], "pipe"],
  ["a path of 4,000 folders", [index, { name: deep }], deep.slice(0, 1_000)],
  ["a name of 256 bytes", [index, { name: "n".repeat(256) }], "n".repeat(256)],
  ["a NUL in a name", [index, { name: "a\0b" }], "a\0b"],
  ["a newline in a name", [index, { name: "a\nb" }], "a\nb"],
  ["an escape sequence in a name", [index, { name: "\u001b[2Ja" }], "\u001b[2Ja"],
  ["a deletion mark of image layers", [index, { name: "bin/.wh.sh" }], "bin/.wh.sh"],
  ["a mark that empties a folder of the layers below", [index, { name: ".wh..wh..opq" }], ".wh..wh..opq"],
  ["a file twice under two spellings", [index, { name: ".//index.html" }], "index.html"],
];

/** What a zip cannot say. */
const hostileHardLinks: readonly Case[] = [
  ["a hard link out of the app", [index, hardLink("h", "../../evil")], "h"],
  ["a hard link to an absolute path", [index, hardLink("h", "/etc/shadow")], "h"],
  ["a hard link to a link", [link("s", "index.html"), index, hardLink("h", "s")], "h"],
  ["a hard link to a later file", [hardLink("h", "index.html"), index], "h"],
];

describe.each(formats)("a %s is refused, naming the entry, and leaves nothing behind:", (format) => {
  const cases = format === "zip" ? hostile : [...hostile, ...hostileHardLinks];
  it.each(cases)("%s", async (_, entries, named) => {
    const { code, message, entry, filesAfter } = await attempt(format, await pack(format, entries));
    expect(code).toBe("DINP_ARCHIVE_REFUSED");
    expect(String(entry).replace(/\/$/, "")).toBe(named);
    expect(message).toContain(JSON.stringify(named.slice(0, 100)).slice(1, -1));
    expect(filesAfter).toEqual(["evil"]);
  });

  it("its end is cut off, or a byte of it is flipped", async () => {
    const content = Array.from({ length: 5_000 }, (_, i) => String(i * 7_919)).join(" ");
    const whole = await pack(format, [index, { name: "data", content }]);
    const flipped = Buffer.from(whole);
    // In a plain tar only headers have a checksum; the second one's begins behind the first entry's two blocks.
    const at = format === "tar" ? 1_024 + 3 : Math.floor(whole.length / 2);
    flipped[at] = (flipped[at] ?? 0) ^ 0x55;
    for (const bytes of [
      whole.subarray(0, Math.floor(whole.length * 0.6)),
      whole.subarray(0, 600),
      flipped,
    ]) {
      const { code, message, filesAfter } = await attempt(format, bytes);
      expect(code).toBe("DINP_ARCHIVE_REFUSED");
      expect(message).toMatch(/truncated|damaged|no zip/);
      expect(filesAfter).toEqual(["evil"]);
    }
  });
});

describe.each(["tar", "tar.gz"] as const)("a %s with an impossible size is refused:", (format) => {
  const packed = (tar: Buffer): Buffer => (format === "tar" ? tar : gzipSync(tar));

  it.each(["ffffffffffffffffffffff00", "80ffffffffffffffffffffff"])("%s in its header", async (size) => {
    const tar = await makeTar([{ name: "first", content: "one" }]);
    tar.write(size, 124, "hex");
    const { code, filesAfter } = await attempt(format, packed(sealHeader(tar)));
    expect(code).toBe("DINP_ARCHIVE_REFUSED");
    expect(filesAfter).toEqual(["evil"]);
  });

  it.each(["-1", "x", "1e99", "99999999999999999999"])("%s in a PAX record", async (size) => {
    const tar = await makeTar([{ name: "first", content: "one", pax: { size } }]);
    const { code, filesAfter } = await attempt(format, packed(tar));
    expect(code).toBe("DINP_ARCHIVE_REFUSED");
    expect(filesAfter).toEqual(["evil"]);
  });
});

describe("names that are not UTF-8 are refused", () => {
  const notUtf8 = Buffer.from([0x6e, 0x61, 0xff, 0xfe]);

  it("in a tar", async () => {
    const tar = await makeTar([{ name: "name" }]);
    notUtf8.copy(tar, 0);
    const { code, message } = await attempt("tar", sealHeader(tar));
    expect([code, message]).toEqual(["DINP_ARCHIVE_REFUSED", expect.stringContaining("UTF-8")]);
  });

  it("in a zip", async () => {
    const { code, message } = await attempt("zip", makeZip([{ name: "a" }, { name: notUtf8 }]));
    expect([code, message]).toEqual([
      "DINP_ARCHIVE_REFUSED",
      expect.stringMatching(/after "a" is not UTF-8/),
    ]);
  });
});

/** Entries that look dangerous and are files like others, with their content; and the mode that they get. */
const harmless: readonly (readonly [string, Entry, number])[] = [
  ["an option", { name: "-rf", content: "-rf" }, 0o644],
  ["a command", { name: "$(reboot);`reboot`", content: "c" }, 0o644],
  ["quotes", { name: `"q" 'q' \\q`, content: "q" }, 0o644],
  ["markup", { name: "<br><img src=x onerror=alert(1)>", content: "m" }, 0o644],
  ["a Dockerfile", { name: "Dockerfile", content: "FROM scratch" }, 0o644],
  ["a .dockerignore", { name: ".dockerignore", content: "*" }, 0o644],
  ["a sharp s", { name: "straße", content: "1" }, 0o644],
  ["what a sharp s is in capitals", { name: "STRASSE", content: "2" }, 0o644],
  ["the same in small letters", { name: "strasse", content: "3" }, 0o644],
  ["a capital", { name: "README", content: "4" }, 0o644],
  ["its small letters", { name: "readme", content: "5" }, 0o644],
  ["a composed accent", { name: "caf\u00e9", content: "6" }, 0o644],
  ["a combining accent", { name: "cafe\u0301", content: "7" }, 0o644],
  ["the bits of another user", { name: "setuid", content: "8", mode: 0o6755 }, 0o755],
  ["no permission", { name: "closed", content: "9", mode: 0 }, 0o644],
];

describe.each(formats)("a %s keeps", (format) => {
  it("files whose names look dangerous, and those that differ in case, folding or composition only, apart", async () => {
    await using workshop = await openWorkshop();
    const bytes = await pack(format, [index, ...harmless.map(([, entry]) => entry)]);
    const built = await build(workshop, format, bytes);
    expect(built.template).toBe("static");
    expect((await readImage(workshop.registry, built.image)).command).toEqual(["dinp-static", "."]);
    const target = join(workshop.dir, "unpacked");
    await mkdir(target);
    await createImageUnpacker(workshop)(built.image, target, new AbortController().signal);
    const expected = [index, ...harmless.map(([, entry]) => entry)].map(({ name, content }) => [
      name,
      content,
    ]);
    const names = await readdir(join(target, "app"));
    const found = await Promise.all(
      names.map(async (name) => [name, await readFile(join(target, "app", name), "utf8")]),
    );
    expect(found.sort()).toEqual(expected.sort());
    const modes = await layerModes(workshop, built);
    for (const [, { name }, mode] of harmless) expect([name, modes.get(name)]).toEqual([name, mode]);
  });
});

describe("an upload's own name", () => {
  const tree = makeZip([{ name: "index.html", content: "x" }]);
  const program = Buffer.concat([Buffer.from("\u007fELF"), Buffer.alloc(200)]);

  it.each([
    "$(reboot).zip",
    `"; rm -rf / #'.zip`,
    "a\nFROM scratch.zip",
    "../../evil.zip",
    "--platform=x",
    "<img src=x onerror=alert(1)>.zip",
    "\u001b[2J.zip",
  ])("%j goes into no image, command or log", async (fileName) => {
    await using workshop = await openWorkshop();
    const log: string[] = [];
    const outcome = async (bytes: Buffer, name?: string): Promise<readonly unknown[]> => {
      const request = { repository, bytes: stream(bytes), fileName: name };
      const { image, command } = await workshop.builder.build({ ...request, log: (line) => log.push(line) });
      return [image, command];
    };
    for (const bytes of [tree, program]) {
      expect(await outcome(bytes, fileName)).toEqual(await outcome(bytes, "upload"));
    }
    expect(log.join("\n")).not.toContain(fileName.slice(0, 5));
  });

  it("is checked where it becomes a repository or a tag", async () => {
    await using workshop = await openWorkshop();
    for (const name of ["Apps/Hello", "apps/../evil", "a b", "x\ny", `a"b`, "$(reboot)", "-rf", "a:b", ""]) {
      const into = { bytes: stream(tree), repository: name };
      await expect(workshop.builder.build(into)).rejects.toMatchObject({ code: "DINP_INVALID" });
      const tagged = { bytes: stream(tree), repository, tag: name };
      await expect(workshop.builder.build(tagged)).rejects.toMatchObject({ code: "DINP_INVALID" });
    }
    expect(await readdir(workshop.dir)).toEqual([]);
  });
});

describe("an environment in dinp.yaml", () => {
  const buildWith = async (env: Readonly<Record<string, string>>): Promise<BuildResult> => {
    await using workshop = await openWorkshop();
    const entries = [index, { name: "dinp.yaml", content: JSON.stringify({ env }) }];
    return await build(workshop, "tar.gz", await pack("tar.gz", entries));
  };

  it.each(["A=B\nC", "A=B", "A B", "", "1A", "A\0", "$(A)", "PORT", "DINP_TOKEN", "__proto__"])(
    "has no variable %j",
    async (name) => {
      const env = Object.fromEntries([[name, "x"]]);
      await expect(buildWith(env)).rejects.toMatchObject({
        code: "DINP_INVALID",
        message: expect.stringContaining(JSON.stringify(name)) as string,
      });
    },
  );

  it("may have what matters to the app alone, with any text in it", async () => {
    const env = { LD_PRELOAD: "/app/x.so", APP_NAME: "other", TEXT: "a\nb=c $(reboot) \"'" };
    expect((await buildWith(env)).manifest?.env).toEqual(env);
  });
});

async function layerModes(workshop: Workshop, { image }: BuildResult): Promise<ReadonlyMap<string, number>> {
  const { layers } = await readImage(workshop.registry, image);
  const bytes = workshop.registry.readBlob(repository, layers[0]?.digest ?? "");
  const modes = new Map<string, number>();
  const options = { format: "tar" as const, maxBytes: 1e6, maxEntries: 100 };
  for await (const { path, mode } of workshop.archive.read(bytes, options)) {
    modes.set(path.replace("app/", ""), mode);
  }
  return modes;
}

describe("a builder's memory and disk are bounded when it is sent", () => {
  const script = fileURLToPath(new URL("bounded-build.mjs", import.meta.url));
  const MIB = 1024 ** 2;

  it.each([
    ["tar: zeros", "DINP_TOO_LARGE"],
    ["tar.gz: zeros", "DINP_ARCHIVE_REFUSED"],
    ["tar.gz: zeros in gzip in gzip", "DINP_ARCHIVE_REFUSED"],
    ["zip: zeros", "DINP_TOO_LARGE"],
    ["tar: a name without end", "DINP_ARCHIVE_REFUSED"],
    ["tar.gz: PAX records without end", "DINP_ARCHIVE_REFUSED"],
    ["tar: a million files", "DINP_ARCHIVE_REFUSED"],
    ["tar.gz: a million files", "DINP_ARCHIVE_REFUSED"],
  ])("%s", { timeout: 120_000 }, async (kind, code) => {
    const dir = await mkdtemp(join(tmpdir(), "dinp-bounded-"));
    try {
      const args = ["--max-old-space-size=64", script, kind, dir, "10000"];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const outcome = JSON.parse(stdout) as { code: string; grownBytes: number };
      expect(outcome.code).toBe(code);
      expect(outcome.grownBytes / MIB).toBeLessThan(120);
      const left = await readdir(dir, { recursive: true, withFileTypes: true });
      expect(left.filter((item) => item.isFile())).toEqual([]);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
