import { execFileSync } from "node:child_process";
import {
  appendFile,
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTarArchive, packDirectory, type PackProgress } from "@dinp/core/tar";
import { collect, stream } from "../build/support.js";

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "dinp-pack-"));
});
afterAll(() => rm(root, { recursive: true }));

async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await mkdtemp(join(root, "tree-"));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  return dir;
}

async function pathsOf(bytes: AsyncIterable<Uint8Array>): Promise<readonly string[]> {
  const options = { format: "tar.gz" as const, maxBytes: 1e9, maxEntries: 1e5 };
  const paths: string[] = [];
  for await (const { path } of createTarArchive().read(bytes, options)) paths.push(path);
  return paths;
}

describe("packDirectory", () => {
  it("gives a plain tar of a folder that is small enough, and a compressed one of a larger", async () => {
    const dir = await tree({ "a.txt": "alpha", "sub/b.txt": "beta" });
    const plain = await collect((await packDirectory(dir, { plainBytesMax: 9 })).bytes);
    const zipped = await collect((await packDirectory(dir, { plainBytesMax: 8 })).bytes);
    expect(gunzipSync(zipped).equals(plain)).toBe(true);
  });

  it("reads many files of all sizes in their order", async () => {
    const sizes = [0, 1, 511, 512, 513, 65_536, 262_143, 262_144, 262_145, 700_000];
    const files = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => {
        const size = sizes[index % sizes.length] ?? 0;
        return [`${String(index).padStart(2, "0")}-${String(size)}`, String(index % 10).repeat(size)];
      }),
    );
    const packed = await packDirectory(await tree(files));
    const found: Record<string, string> = {};
    const options = { format: "tar.gz" as const, maxBytes: 1e9, maxEntries: 1e5 };
    for await (const { path, content } of createTarArchive().read(packed.bytes, options))
      found[path] = (await collect(content)).toString();
    expect(Object.keys(found)).toEqual(Object.keys(files));
    expect(found).toEqual(files);
  });

  it("gives an archive that unpacks to the same tree", async () => {
    const dir = await tree({ "a.txt": "alpha", "sub/run": "#!/bin/sh\n", "sub/empty": "" });
    await chmod(join(dir, "sub/run"), 0o700);
    await mkdir(join(dir, "void"));
    await symlink("../a.txt", join(dir, "sub/link"));
    const packed = await packDirectory(dir);
    expect({ files: packed.files, totalBytes: packed.totalBytes }).toEqual({ files: 3, totalBytes: 15 });
    const out = await mkdtemp(join(root, "out-"));
    execFileSync("tar", ["-xzf", "-", "-C", out], { input: await collect(packed.bytes) });
    expect(await readFile(join(out, "a.txt"), "utf8")).toBe("alpha");
    expect((await stat(join(out, "a.txt"))).mode & 0o777).toBe(0o644);
    expect((await stat(join(out, "sub/run"))).mode & 0o777).toBe(0o755);
    expect(await readlink(join(out, "sub/link"))).toBe("../a.txt");
    expect((await stat(join(out, "void"))).isDirectory()).toBe(true);
  });

  it("gives the same bytes for the same tree, whenever and in whatever order it was made", async () => {
    const one = await tree({ b: "2", a: "1", "a-b": "3", "z/y/x": "deep".repeat(50_000) });
    const two = await mkdtemp(join(root, "copy-"));
    for (const name of ["z", "a-b", "b", "a"])
      await cp(join(one, name), join(two, name), { recursive: true });
    await utimes(join(two, "a"), 1, 1);
    const [first, second] = await Promise.all(
      [one, two].map(async (dir) => collect((await packDirectory(dir)).bytes)),
    );
    expect(first?.equals(second ?? Buffer.alloc(0))).toBe(true);
    expect(first?.readUInt32LE(4)).toBe(0);
  });

  it("sorts names by their bytes, folders before what is in them", async () => {
    const dir = await tree({
      "b/x": "",
      "a/x": "",
      "a.txt": "",
      B: "",
      ü: "",
      "\u{1F600}": "",
      "\uFF5E": "",
    });
    expect(await pathsOf((await packDirectory(dir)).bytes)).toEqual([
      "B",
      "a/",
      "a/x",
      "a.txt",
      "b/",
      "b/x",
      "ü",
      "\uFF5E",
      "\u{1F600}",
    ]);
  });

  it("leaves out what .dinpignore says, and .git and .dinp", async () => {
    const rules = ["# comment", "*.log", "!keep.log", "/build/", "docs/**/*.md", "tmp?", "cache/", ""].join(
      "\n",
    );
    const dir = await tree({
      ".dinpignore": rules,
      ".git/config": "",
      ".dinp/state": "",
      "app.log": "",
      "keep.log": "",
      "sub/app.log": "",
      "build/out": "",
      "sub/build/out": "",
      "docs/a.md": "",
      "docs/deep/b.md": "",
      "docs/c.txt": "",
      tmp1: "",
      tmp12: "",
      "sub/cache/x": "",
      "sub/.git/config": "",
      node_modules: "",
    });
    expect(await pathsOf((await packDirectory(dir)).bytes)).toEqual([
      ".dinpignore",
      "docs/",
      "docs/c.txt",
      "docs/deep/",
      "keep.log",
      "node_modules",
      "sub/",
      "sub/build/",
      "sub/build/out",
      "tmp12",
    ]);
  });

  it("answers at once to a pattern made to be slow", async () => {
    const dir = await tree({
      [`${"a".repeat(200)}b`]: "",
      ".dinpignore": `${"**a".repeat(12)}c\n${"*a".repeat(60)}c`,
    });
    expect((await packDirectory(dir)).files).toBe(2);
  });

  it("reports its progress up to the whole", async () => {
    const dir = await tree({ a: "x".repeat(700_000), b: "y" });
    const seen: PackProgress[] = [];
    const packed = await packDirectory(dir, { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([]);
    await collect(packed.bytes);
    expect(seen.at(-1)).toEqual({ files: 2, bytes: 700_001, totalBytes: 700_001 });
    expect(seen.map(({ bytes }) => bytes)).toEqual(seen.map(({ bytes }) => bytes).sort((a, b) => a - b));
    expect(seen.length).toBeGreaterThanOrEqual(4);
  });

  it("refuses pipes by name, unless they are left out", async () => {
    const dir = await tree({ "sub/a": "" });
    execFileSync("mkfifo", [join(dir, "sub/pipe")]);
    await expect(packDirectory(dir)).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringContaining('"sub/pipe"') as string,
    });
    await writeFile(join(dir, ".dinpignore"), "pipe\n");
    expect(await pathsOf((await packDirectory(dir)).bytes)).toEqual([".dinpignore", "sub/", "sub/a"]);
  });

  it("refuses names that are not UTF-8", async () => {
    const dir = await tree({ a: "" });
    await writeFile(Buffer.concat([Buffer.from(`${dir}/bad-`), Buffer.from([0xff])]), "");
    await expect(packDirectory(dir)).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringContaining("not valid UTF-8") as string,
    });
  });

  it.each([
    ["grew", (path: string) => appendFile(path, "more")],
    ["was rewritten", (path: string) => writeFile(path, "other")],
    [
      "became a link",
      async (path: string) => {
        await rm(path);
        await symlink("/etc/passwd", path);
      },
    ],
    ["was removed", (path: string) => rm(path)],
  ])("says so when a file %s after the walk", async (_, change) => {
    const dir = await tree({ first: "x", second: "12345" });
    const packed = await packDirectory(dir);
    await change(join(dir, "second"));
    await expect(collect(packed.bytes)).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringContaining('"second"') as string,
    });
  });

  it("says so when a file changes while it is read", async () => {
    const dir = await tree({ big: "x".repeat(2_000_000) });
    let done = false;
    const onProgress = (): void => {
      if (done) return;
      done = true;
      execFileSync("sh", ["-c", `printf yyy >> ${join(dir, "big")}`]);
    };
    const packed = await packDirectory(dir, { onProgress });
    await expect(collect(packed.bytes)).rejects.toMatchObject({ code: "DINP_INVALID", retryable: true });
  });

  it("names a folder that is none", async () => {
    await expect(packDirectory(join(root, "absent"))).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
    const file = join(await tree({ a: "" }), "a");
    await expect(packDirectory(file)).rejects.toMatchObject({ code: "DINP_INVALID" });
  });

  it("stops when its signal aborts", async () => {
    const dir = await tree({ big: "x".repeat(3_000_000) });
    const stop = new AbortController();
    const packed = await packDirectory(dir, {
      signal: stop.signal,
      onProgress: () => {
        stop.abort();
      },
    });
    await expect(collect(packed.bytes)).rejects.toMatchObject({ code: "DINP_ABORTED" });
    await expect(packDirectory(dir, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "DINP_ABORTED",
    });
  });

  it("closes every file when its reader leaves", async () => {
    const dir = await tree({ big: "x".repeat(3_000_000) });
    const packed = await packDirectory(dir);
    for await (const chunk of packed.bytes) if (chunk.length > 0) break;
    const open = (): string => execFileSync("ls", ["-l", `/proc/${String(process.pid)}/fd`]).toString();
    await expect.poll(open).not.toContain(join(dir, "big"));
    expect(await pathsOf(stream(await collect((await packDirectory(dir)).bytes)))).toEqual(["big"]);
  });
});
