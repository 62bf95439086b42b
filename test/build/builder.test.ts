import { createHash } from "node:crypto";
import { chmod, cp, lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { layerFormat, readImage, type BuildResult, type ImageRef } from "@dinp/core";
import { packDirectory } from "@dinp/core/tar";
import {
  collect,
  makeTar,
  makeTarGz,
  openWorkshop,
  run,
  stream,
  type TestEntry,
  type Workshop,
} from "./support.js";

const repository = "apps/hello";
const index: TestEntry = { name: "index.html", content: "<h1>hello</h1>" };

async function buildEntries(workshop: Workshop, entries: readonly TestEntry[]): Promise<BuildResult> {
  return workshop.builder.build({ repository, bytes: stream(await makeTarGz(entries)), format: "tar.gz" });
}

interface LayerFile {
  readonly type: string;
  readonly mode: number;
  readonly link: string | null;
  readonly sha256: string | null;
}

async function layerOf(workshop: Workshop, image: ImageRef): Promise<ReadonlyMap<string, LayerFile>> {
  const { layers } = await readImage(workshop.registry, image);
  expect(layers).toHaveLength(1);
  const found = new Map<string, LayerFile>();
  for (const { digest, mediaType } of layers) {
    const options = { format: layerFormat(mediaType) ?? "tar", maxBytes: 1e10, maxEntries: 1e6 };
    const bytes = workshop.registry.readBlob(image.repository, digest);
    for await (const { path, type, mode, linkTarget, content } of workshop.archive.read(bytes, options)) {
      const sha256 = type === "file" ? hash(await collect(content)) : null;
      expect(found.has(path)).toBe(false);
      found.set(path.replace(/\/$/, ""), { type, mode, link: linkTarget, sha256 });
    }
  }
  return found;
}

async function treeOf(dir: string, prefix: string): Promise<Map<string, LayerFile>> {
  const found = new Map<string, LayerFile>([
    [prefix, { type: "directory", mode: 0o755, link: null, sha256: null }],
  ]);
  for (const name of await readdir(dir, { recursive: true })) {
    const path = join(dir, name);
    const stats = await lstat(path);
    const plain = { link: null, sha256: null };
    if (stats.isDirectory()) found.set(`${prefix}/${name}`, { ...plain, type: "directory", mode: 0o755 });
    else if (stats.isSymbolicLink()) {
      found.set(`${prefix}/${name}`, { ...plain, type: "symlink", mode: 0o777, link: await readlink(path) });
    } else {
      const mode = (stats.mode & 0o111) === 0 ? 0o644 : 0o755;
      found.set(`${prefix}/${name}`, { ...plain, type: "file", mode, sha256: hash(await readFile(path)) });
    }
  }
  return found;
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function sorted<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A real tree of hundreds of files: this package's own dependencies. */
async function realApp(dir: string): Promise<string> {
  const app = join(dir, "app");
  const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));
  await mkdir(join(app, "node_modules/.bin"), { recursive: true });
  for (const name of ["hono", "yaml", "tar-stream", "streamx"]) {
    await cp(join(modules, name), join(app, "node_modules", name), { recursive: true, dereference: true });
  }
  await symlink("../yaml/bin.mjs", join(app, "node_modules/.bin/yaml"));
  await writeFile(join(app, "package.json"), '{"scripts":{"start":"node server.js"}}');
  await writeFile(join(app, "server.js"), "");
  await writeFile(join(app, "dinp.yaml"), "instances: 2\nenv: {A: b}\n");
  await writeFile(join(app, "control"), "#!/bin/sh\n");
  const long = join(app, "x".repeat(120), "y".repeat(150), "ß.txt");
  await mkdir(dirname(long), { recursive: true });
  await writeFile(long, "long");
  await chmod(join(app, "server.js"), 0o4711);
  return app;
}

describe("a build", () => {
  it("puts a real tree into the layer path by path, byte by byte", { timeout: 120_000 }, async () => {
    await using workshop = await openWorkshop();
    const app = await realApp(workshop.dir);
    const packed = await packDirectory(app);
    const built = await workshop.builder.build({
      repository,
      bytes: packed.bytes,
      format: "tar.gz",
      tag: "v1",
    });
    const expected = await treeOf(app, "app");
    expect(expected.size).toBeGreaterThan(500);
    expect(sorted(await layerOf(workshop, built.image))).toEqual(sorted(expected));
    expect(built).toMatchObject({
      template: "node",
      requires: ["node"],
      manifest: { instances: 2, env: { A: "b" } },
      files: [...expected.values()].filter(({ type }) => type !== "directory").length,
      bytes: packed.totalBytes,
    });
    expect(built.command.at(-1)).toMatch(/exec node server\.js$/);
    expect(await workshop.registry.resolve(repository, "v1")).toBe(built.image.digest);
  });

  it("gives the same digest for the same entries, whenever, however compressed, in whatever pieces", async () => {
    await using one = await openWorkshop();
    await using two = await openWorkshop();
    const entries: readonly TestEntry[] = [
      index,
      { name: "a/b.txt", content: "x".repeat(100_000), mode: 0o640 },
    ];
    const first = await buildEntries(one, entries);
    const tar = await makeTar(
      entries.map((entry) => ({ ...entry, mtime: new Date(1e12), uid: 1000, gname: "staff", mode: 0o600 })),
    );
    const again = [
      { bytes: stream(tar, 100), format: "tar" as const },
      { bytes: stream(gzipSync(tar, { level: 1 }), 7), format: "tar.gz" as const },
    ];
    for (const request of again) {
      expect((await two.builder.build({ repository, ...request })).image).toEqual(first.image);
    }
    const other = await buildEntries(two, [index, { name: "a/b.txt", content: "y" }]);
    expect(other.image.digest).not.toBe(first.image.digest);
  });

  it("makes an image that says how it starts", async () => {
    await using workshop = await openWorkshop();
    const { image, command } = await buildEntries(workshop, [index]);
    expect(command).toEqual(["dinp-static", "."]);
    const described = await readImage(workshop.registry, image);
    expect(described).toMatchObject({
      command,
      workingDir: "/app",
      env: [],
      labels: {
        "io.dinp.template": "static",
        "io.dinp.command": '["dinp-static","."]',
        "io.dinp.requires": "",
      },
    });
    const layer = described.layers[0];
    expect(layer?.mediaType).toBe("application/vnd.oci.image.layer.v1.tar");
    const { bytes } = await workshop.registry.readManifest(repository, image.digest);
    const { config } = JSON.parse(Buffer.from(bytes).toString()) as { config: { digest: string } };
    const text = (await collect(workshop.registry.readBlob(repository, config.digest))).toString();
    expect(JSON.parse(text)).toMatchObject({
      created: "1970-01-01T00:00:00Z",
      rootfs: { type: "layers", diff_ids: [layer?.digest] },
    });
  });

  it("reads what GNU tar packs, with ./ in front and hard links", async () => {
    await using workshop = await openWorkshop();
    const app = join(workshop.dir, "src");
    await mkdir(join(app, "bin"), { recursive: true });
    await writeFile(join(app, "bin/tool"), "#!/bin/sh\n", { mode: 0o755 });
    run("ln", ["bin/tool", "control"], app);
    await writeFile(join(app, "readme"), "x");
    const bytes = run("tar", ["--sort=name", "-czf", "-", "."], app);
    const built = await workshop.builder.build({ repository, bytes: stream(bytes), format: "tar.gz" });
    expect(built).toMatchObject({ template: "plain", requires: [], files: 3 });
    expect(built.command).toEqual(["/bin/sh", "-c", 'exec ./control start "$PORT"']);
    expect((await layerOf(workshop, built.image)).get("app/control")).toMatchObject({
      type: "hardlink",
      link: "app/bin/tool",
      // Docker gives the file the mode of the link that comes last.
      mode: 0o755,
    });
  });

  it.each([
    ["control without its bit", [{ name: "control", mode: 0o644 }, index], ["dinp-static", "."]],
    [
      "control with it",
      [{ name: "control", mode: 0o755 }, index],
      ["/bin/sh", "-c", 'exec ./control start "$PORT"'],
    ],
    ["a Procfile", [{ name: "Procfile", content: "web: ./x\n" }, index], ["/bin/sh", "-c", "exec ./x"]],
    [
      "a Procfile further down",
      [{ name: "etc/Procfile", content: "web: ./x\n" }, index],
      ["dinp-static", "."],
    ],
    ["dinp.yaml last", [index, { name: "dinp.yaml", content: "command: [a, b]" }], ["a", "b"]],
    [
      "a template in dinp.yaml",
      [{ name: "dinp.yaml", content: "template: python" }, index, { name: "app.py" }],
      ["python3", "app.py"],
    ],
  ])("finds the command with %s", async (_, entries, command) => {
    await using workshop = await openWorkshop();
    expect((await buildEntries(workshop, entries)).command).toEqual(command);
  });

  it("takes template and command from the push before all else", async () => {
    await using workshop = await openWorkshop();
    const bytes = await makeTarGz([{ name: "dinp.yaml", content: "template: python\ncommand: x" }, index]);
    const request = { repository, format: "tar.gz" as const, template: "static", command: "serve . $PORT" };
    expect(await workshop.builder.build({ ...request, bytes: stream(bytes) })).toMatchObject({
      template: "static",
      command: ["/bin/sh", "-c", "exec serve . $PORT"],
    });
    await expect(
      workshop.builder.build({ ...request, bytes: stream(bytes), template: "ruby" }),
    ).rejects.toMatchObject({ code: "DINP_INVALID", hint: expect.stringContaining("static") as string });
  });

  it("serves two builds of one tag at the same time", async () => {
    await using workshop = await openWorkshop();
    const build = async (content: string): Promise<BuildResult> => {
      const bytes = stream(await makeTarGz([{ ...index, content }]));
      return workshop.builder.build({ repository, bytes, format: "tar.gz", tag: "live" });
    };
    const built = await Promise.all(["one", "two", "three"].map(build));
    const digests = built.map(({ image }) => image.digest);
    expect(digests).toContain(await workshop.registry.resolve(repository, "live"));
    for (const digest of digests) await readImage(workshop.registry, { repository, digest });
  });
});

describe("a build refuses, naming the entry, and stores no image", () => {
  const link = (name: string, linkname: string): TestEntry => ({ name, type: "symlink", linkname });
  const cases: readonly (readonly [string, readonly TestEntry[], string])[] = [
    ["a climbing path", [index, { name: "../evil" }], '"../evil"'],
    ["an absolute path", [index, { name: "/etc/passwd" }], '"/etc/passwd"'],
    ["a doubly absolute path", [index, { name: "//etc/passwd" }], '"//etc/passwd"'],
    ["a path that climbs in its middle", [index, { name: "a/../../b" }], '"a/../../b"'],
    ["a link out", [index, link("out", "../../etc")], '"out"'],
    ["an absolute link", [index, link("venv/bin/python", "/usr/bin/python3")], "/usr/bin/python3"],
    ["writing through a link", [index, link("d", "."), { name: "d/x" }], '"d/x"'],
    ["writing through a chain of links", [index, link("a", "b"), link("b", "c"), { name: "b/x" }], '"b/x"'],
    ["a hard link out", [index, { name: "h", type: "link", linkname: "../../etc/shadow" }], '"h"'],
    ["a hard link to nothing", [index, { name: "h", type: "link", linkname: "etc/shadow" }], '"h"'],
    ["a block device", [index, { name: "sda", type: "block-device", devmajor: 8 }], '"sda"'],
    ["a character device", [index, { name: "null", type: "character-device" }], '"null"'],
    ["a pipe", [index, { name: "pipe", type: "fifo" }], '"pipe"'],
    ["a newline in a name", [index, { name: "a\nb", pax: {} }], '"a\\nb"'],
    ["a NUL in a name", [index, { name: "a", pax: { path: "a\0b" } }], '"a\\u0000b"'],
    ["a name that is not UTF-8", [index, { name: "bad-\uFFFD" }], "bad-"],
    ["a whiteout", [index, { name: ".wh.index.html" }], '".wh.index.html"'],
    ["a path of 4,000 folders", [index, { name: `${"d/".repeat(4_000)}f` }], "is refused"],
    ["the same file twice", [index, index], '"index.html"'],
    ["no files at all", [{ name: "empty", type: "directory" }], "no files"],
  ];
  it.each(cases)("%s", async (_, entries, named) => {
    await using workshop = await openWorkshop();
    const before = await readdir(workshop.dir);
    await expect(buildEntries(workshop, entries)).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
      message: expect.stringContaining(named) as string,
    });
    expect(before).toEqual([]);
    expect(await readdir(join(workshop.dir, "registry/uploads"))).toEqual([]);
    expect(await readdir(join(workshop.dir, "registry/repositories")).catch(() => [])).toEqual([]);
  });

  const invalid: readonly (readonly [string, readonly TestEntry[], string, RegExp])[] = [
    [
      "a dinp.yaml that is no YAML",
      [{ name: "dinp.yaml", content: "a: [" }],
      "DINP_INVALID",
      /^dinp\.yaml: .*line 1/,
    ],
    [
      "a wrong dinp.yaml",
      [{ name: "dinp.yaml", content: "instances: x" }],
      "DINP_INVALID",
      /"instances" is "x"/,
    ],
    ["an unknown template", [{ name: "dinp.yaml", content: "template: cobol" }], "DINP_INVALID", /"cobol"/],
    ["a dinp.yml", [{ name: "dinp.yml", content: "" }], "DINP_INVALID", /dinp\.yaml/],
    ["a linked dinp.yaml", [link("dinp.yaml", "x")], "DINP_INVALID", /is a link/],
    ["a huge dinp.yaml", [{ name: "dinp.yaml", content: "#".repeat(65_537) }], "DINP_INVALID", /65537 bytes/],
    ["a package.json that is no JSON", [{ name: "package.json", content: "{" }], "DINP_INVALID", /not JSON/],
    [
      "a Procfile that is not text",
      [{ name: "Procfile", content: Buffer.from([0xff, 0xfe]) }],
      "DINP_INVALID",
      /not UTF-8/,
    ],
    ["no command", [{ name: "readme.txt", content: "x" }], "DINP_NO_COMMAND", /Looked at its root/],
    [
      "a folder around everything",
      [{ name: "app/package.json", content: "{}" }],
      "DINP_NO_COMMAND",
      /Nothing says/,
    ],
  ];
  it.each(invalid)("%s", async (_, entries, code, message) => {
    await using workshop = await openWorkshop();
    await expect(buildEntries(workshop, entries)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
    expect(await workshop.registry.list(repository)).toEqual([]);
  });
});

describe("bounds of a build", () => {
  it("end it when the upload is too large, unpacks to too much, or has too many files", async () => {
    const bytes = await makeTarGz([
      index,
      ...["a", "b", "c"].map((name) => ({ name: `d/${name}`, content: "x".repeat(5_000) })),
    ]);
    const limited = async (limits: Parameters<typeof openWorkshop>[0]): Promise<BuildResult> => {
      await using workshop = await openWorkshop(limits);
      return await workshop.builder.build({ repository, bytes: stream(bytes, 50), format: "tar.gz" });
    };
    const is = (code: string): object => expect.objectContaining({ code }) as object;
    await expect(limited({ uploadBytesMax: bytes.length - 1 })).rejects.toEqual(is("DINP_TOO_LARGE"));
    await expect(limited({ imageBytesMax: 15_000 })).rejects.toEqual(is("DINP_ARCHIVE_REFUSED"));
    await expect(limited({ imageFilesMax: 5 })).rejects.toEqual(is("DINP_ARCHIVE_REFUSED"));
    const enough = { uploadBytesMax: bytes.length, imageBytesMax: 15_014, imageFilesMax: 6 };
    expect((await limited(enough)).files).toBe(4);
  });

  it("end it when nothing more comes, when it is aborted, and when the connection breaks", async () => {
    await using workshop = await openWorkshop({ idleMs: 50 });
    const bytes = await makeTarGz([index]);
    const start = async function* (after: () => Promise<void>): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 40);
      await after();
    };
    const build = (after: () => Promise<void>, signal?: AbortSignal): Promise<BuildResult> =>
      workshop.builder.build({
        repository,
        bytes: start(after),
        format: "tar.gz",
        ...(signal === undefined ? {} : { signal }),
      });
    const never = (): Promise<void> => new Promise(() => undefined);
    await expect(build(never)).rejects.toMatchObject({ code: "DINP_TIMEOUT", retryable: true });
    const stop = new AbortController();
    const aborting = build(() => {
      stop.abort();
      return never();
    }, stop.signal);
    await expect(aborting).rejects.toMatchObject({ code: "DINP_ABORTED" });
    await expect(build(never, AbortSignal.abort())).rejects.toMatchObject({ code: "DINP_ABORTED" });
    const broken = new Error("connection reset");
    await expect(build(() => Promise.reject(broken))).rejects.toBe(broken);
    expect(await readdir(join(workshop.dir, "registry/uploads"))).toEqual([]);
  });
});
