import { readFile, lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readImage, type Descriptor, type ImageRef } from "@dinp/core";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createImageUnpacker } from "@dinp/core/process";
import { collect, makeTar, openWorkshop, stream, type TestEntry, type Workshop } from "./support.js";

const repository = "apps/hello";
const compressor = createGzipCompressor();
const entries: readonly TestEntry[] = [
  { name: "index.html", content: "<h1>hello</h1>" },
  { name: "bin/run", content: "#!/bin/sh\n", mode: 0o755 },
  { name: "bin/again", type: "link", linkname: "bin/run" },
  { name: "empty", content: "" },
  { name: "text", content: Array.from({ length: 20_000 }, (_, i) => String(i * i)).join("\n") },
];

interface Built {
  readonly image: ImageRef;
  readonly layer: Descriptor;
  readonly bytes: Buffer;
  readonly diffIds: readonly string[];
}

async function build(workshop: Workshop, pieceBytes = 10_000): Promise<Built> {
  const bytes = stream(await makeTar(entries), pieceBytes);
  const { image } = await workshop.builder.build({ repository, bytes, format: "tar" });
  const { layers } = await readImage(workshop.registry, image);
  const [layer] = layers;
  if (layer === undefined) throw new Error("no layer");
  const manifest = await workshop.registry.readManifest(repository, image.digest);
  const { config } = JSON.parse(Buffer.from(manifest.bytes).toString()) as { config: Descriptor };
  const text = (await collect(workshop.registry.readBlob(repository, config.digest))).toString();
  const { rootfs } = JSON.parse(text) as { rootfs: { diff_ids: string[] } };
  const stored = await collect(workshop.registry.readBlob(repository, layer.digest));
  return { image, layer, bytes: stored, diffIds: rootfs.diff_ids };
}

async function unpacked(workshop: Workshop, image: ImageRef): Promise<readonly unknown[]> {
  const target = join(workshop.dir, "unpacked");
  await mkdir(target);
  await createImageUnpacker(workshop)(image, target, new AbortController().signal);
  const names = (await readdir(target, { recursive: true })).sort();
  return Promise.all(
    names.map(async (name) => {
      const stats = await lstat(join(target, name));
      return [name, stats.mode, stats.isFile() ? await readFile(join(target, name), "utf8") : null];
    }),
  );
}

describe("layer compression", () => {
  it("changes how a layer is stored, and neither its diff id nor the files that it unpacks to", async () => {
    await using plain = await openWorkshop();
    await using small = await openWorkshop({}, { compressor });
    const [none, gzip] = [await build(plain), await build(small)];

    expect(none.layer.mediaType).toBe("application/vnd.oci.image.layer.v1.tar");
    expect(none.diffIds).toEqual([none.layer.digest]);
    expect(gzip.layer.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
    expect(gzip.diffIds).toEqual(none.diffIds);
    expect(gzip.layer.digest).not.toBe(none.layer.digest);
    expect(gzip.layer.size).toBeLessThan(none.layer.size / 2);
    expect(gunzipSync(gzip.bytes).equals(none.bytes)).toBe(true);

    const files = await unpacked(plain, none.image);
    expect(files).toHaveLength(entries.length + 2);
    expect(await unpacked(small, gzip.image)).toEqual(files);
  });

  it("gives the same bytes for the same entries, in whatever pieces they come", async () => {
    await using one = await openWorkshop({}, { compressor });
    await using two = await openWorkshop({}, { compressor });
    const first = await build(one);
    expect(first.bytes.subarray(4, 8)).toEqual(Buffer.alloc(4));
    expect((await build(two, 777)).image).toEqual(first.image);
    const bytes = gunzipSync(first.bytes);
    for (const size of [1_000, 65_536, 1_000_000]) {
      const again = await collect(compressor.compress(stream(bytes, size)));
      expect(again.equals(first.bytes)).toBe(true);
    }
  });

  it("of an archive that is refused says what the archive's matter is, and stores nothing", async () => {
    await using workshop = await openWorkshop({}, { compressor });
    const bytes = stream(await makeTar([...entries, { name: "../evil" }]));
    await expect(workshop.builder.build({ repository, bytes, format: "tar" })).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
      details: { entry: "../evil" },
    });
    expect(await readdir(join(workshop.dir, "registry/uploads"))).toEqual([]);
    expect(await workshop.registry.list(repository)).toEqual([]);
  });

  it("ends with a stream that fails, and when it is aborted while the stream hangs", async () => {
    const broken = new Error("the disk is gone");
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("x");
      throw broken;
    };
    await expect(collect(compressor.compress(failing()))).rejects.toBe(broken);
    const stop = new AbortController();
    const hanging = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("x");
      queueMicrotask(() => {
        stop.abort();
      });
      await new Promise(() => undefined);
    };
    const { signal } = stop;
    await expect(collect(compressor.compress(hanging(), { signal }))).rejects.toMatchObject({
      code: "DINP_ABORTED",
    });
  });
});
