import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Descriptor, ImageRef } from "@dinp/core";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createImageUnpacker } from "@dinp/core/process";
import { createTarArchive } from "@dinp/core/tar";

interface Entry {
  readonly name: string;
  readonly text?: string;
  readonly mode?: number;
  readonly linkname?: string;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly type?: "file" | "directory" | "symlink" | "link" | "fifo" | "character-device";
}

const LAYER = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { text = "", ...header } of entries) archive.entry(header, text);
  archive.finalize();
  return buffer(archive);
}

/** A folder with a registry and the unpacker that reads from it. */
async function bench() {
  const folder = await mkdtemp("/tmp/dinp-unpack-");
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const registry = createOciLayoutRegistry({ dir: join(folder, "registry") });
  const unpacker = createImageUnpacker({ registry, archive: createTarArchive() });
  const repository = "apps/test";
  const blob = async (bytes: Uint8Array, mediaType: string): Promise<Descriptor> => ({
    mediaType,
    ...(await registry.writeBlob(repository, once(bytes))),
  });
  const imageOf = async (layers: readonly Descriptor[]): Promise<ImageRef> => {
    const config = await blob(Buffer.from("{}"), "application/vnd.oci.image.config.v1+json");
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }));
    const { digest } = await registry.writeManifest(repository, { mediaType: MANIFEST, bytes });
    return { repository, digest };
  };
  let count = 0;
  const unpack = async (...layers: readonly (readonly Entry[])[]): Promise<string> => {
    const descriptors: Descriptor[] = [];
    for (const entries of layers) descriptors.push(await blob(await tarOf(entries), LAYER));
    return unpackImage(await imageOf(descriptors));
  };
  const unpackImage = async (image: ImageRef): Promise<string> => {
    const target = join(folder, `target-${String((count += 1))}`);
    await mkdir(target);
    await unpacker(image, target, new AbortController().signal);
    return join(target, "app");
  };
  return { folder, blob, imageOf, unpack, unpackImage };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describe("image unpacker", () => {
  it("unpacks what is below app/, with modes of its own", async () => {
    const { unpack } = await bench();
    const app = await unpack([
      { name: "etc/passwd", text: "not the app's" },
      { name: "app/bin/run", mode: 0o4711, text: "run" },
      { name: "./app/data.txt", mode: 0o600, text: "data" },
      { name: "app/empty/", type: "directory", mode: 0o700 },
      { name: "app/node_modules/.bin/run", type: "symlink", linkname: "../../bin/run" },
      { name: "app/absolute", type: "symlink", linkname: "/app/bin/run" },
      { name: "app/same", type: "link", linkname: "app/data.txt" },
    ]);
    const modes: Record<string, string> = {};
    for (const name of ["bin", "bin/run", "data.txt", "empty", "same"])
      modes[name] = ((await lstat(join(app, name))).mode & 0o7777).toString(8);
    expect(modes).toEqual({ bin: "755", "bin/run": "755", "data.txt": "644", empty: "755", same: "644" });
    expect(await readFile(join(app, "node_modules/.bin/run"), "utf8")).toBe("run");
    expect(await readFile(join(app, "absolute"), "utf8")).toBe("run");
    expect(await readlink(join(app, "absolute"))).toBe("bin/run");
    expect(await readdir(join(app, ".."))).toEqual(["app"]);
  });

  it("lays later layers over earlier ones, whiteouts and gzip included", async () => {
    const { blob, imageOf, unpackImage } = await bench();
    const lower = await tarOf([
      { name: "app/a", text: "old" },
      { name: "app/b", text: "b" },
      { name: "app/dir/x", text: "x" },
      { name: "app/file-to-dir", text: "file" },
      { name: "app/link", type: "symlink", linkname: "b" },
    ]);
    const upper = await tarOf([
      { name: "app/a", text: "new" },
      { name: "app/.wh.b" },
      { name: "app/dir/.wh..wh..opq" },
      { name: "app/dir/y", text: "y" },
      { name: "app/file-to-dir/inner", text: "inner" },
      { name: "app/link", text: "no link any more" },
    ]);
    const app = await unpackImage(
      await imageOf([await blob(lower, LAYER), await blob(gzipSync(upper), `${LAYER}+gzip`)]),
    );
    expect((await readdir(app, { recursive: true })).sort()).toEqual(
      ["a", "dir", "dir/y", "file-to-dir", "file-to-dir/inner", "link"].sort(),
    );
    expect(await readFile(join(app, "a"), "utf8")).toBe("new");
    expect((await lstat(join(app, "link"))).isFile()).toBe(true);
  });

  it.each<[string, readonly Entry[]]>([
    ["a path with ..", [{ name: "app/../../evil", text: "x" }]],
    ["a link out of the app", [{ name: "app/l", type: "symlink", linkname: "../../etc/passwd" }]],
    ["an absolute link out of the app", [{ name: "app/l", type: "symlink", linkname: "/etc/passwd" }]],
    [
      "a write through a link",
      [
        { name: "app/dir/", type: "directory" },
        { name: "app/l", type: "symlink", linkname: "dir" },
        { name: "app/l/evil", text: "x" },
      ],
    ],
    ["a hard link to what is not in the image", [{ name: "app/l", type: "link", linkname: "etc/passwd" }]],
    ["a pipe", [{ name: "app/pipe", type: "fifo" }]],
    ["a device", [{ name: "app/null", type: "character-device", devmajor: 1, devminor: 3 }]],
    ["another thing in place of the app's folder", [{ name: "app", type: "symlink", linkname: "app/x" }]],
  ])("refuses %s", async (_, entries) => {
    const { folder, unpack } = await bench();
    await expect(unpack(entries)).rejects.toMatchObject({ code: "DINP_ARCHIVE_REFUSED" });
    expect(await readdir(folder)).not.toContain("evil");
  });

  it("does not believe a layer whose bytes are not what its digest says", async () => {
    const { folder, blob, imageOf, unpackImage } = await bench();
    const bytes = await tarOf([{ name: "app/a", text: "aaaa" }]);
    const layer = await blob(bytes, LAYER);
    const image = await imageOf([layer]);
    await unpackImage(image);
    const name = (await readdir(folder, { recursive: true })).find((path) =>
      path.endsWith(layer.digest.slice(7)),
    );
    const file = join(folder, name ?? "");
    await chmod(file, 0o644);
    await writeFile(file, Buffer.from(bytes.toString("latin1").replace("aaaa", "bbbb"), "latin1"));
    await expect(unpackImage(image)).rejects.toMatchObject({ code: "DINP_DIGEST_MISMATCH" });
  });

  it("names a layer of a type that it cannot read", async () => {
    const { blob, imageOf, unpackImage } = await bench();
    const image = await imageOf([await blob(Buffer.from("x"), `${LAYER}+zstd`)]);
    await expect(unpackImage(image)).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringContaining("zstd") as unknown,
    });
  });
});
