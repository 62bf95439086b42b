import { createHash } from "node:crypto";
import { imageLabels, mediaTypes, type ImageRef, type ReleaseRequest } from "@dinp/core";
import { describe, expect, it } from "vitest";
import { makeTar, makeTarGz, stream, type TestEntry } from "../build/support.js";
import { createWorld, nodeApp, testNode, type World } from "./world.js";

interface ImageOptions {
  readonly repository?: string;
  readonly tag?: string;
  readonly config?: object;
  readonly architecture?: string;
  readonly layers?: readonly (readonly TestEntry[])[];
  readonly layerType?: string;
}

const run: TestEntry = { name: "app/run", content: "#!/bin/sh\n", mode: 0o755 };

/** Puts an image into the registry as another tool would have made it. */
async function putImage(world: World, options: ImageOptions = {}): Promise<ImageRef> {
  const { repository = "tools/made", config = {}, architecture = "amd64", layerType } = options;
  const layers: object[] = [];
  for (const entries of options.layers ?? [[run]]) {
    const isGzip = (layerType ?? mediaTypes.layerTarGzip) === mediaTypes.layerTarGzip;
    const bytes = isGzip ? await makeTarGz(entries) : await makeTar(entries);
    const blob = await world.registry.writeBlob(repository, stream(bytes));
    layers.push({ mediaType: layerType ?? mediaTypes.layerTarGzip, ...blob });
  }
  const diffIds = layers.map(
    (_, index) => `sha256:${createHash("sha256").update(String(index)).digest("hex")}`,
  );
  const text = { architecture, os: "linux", config, rootfs: { type: "layers", diff_ids: diffIds } };
  const bytes = Buffer.from(JSON.stringify(text));
  const stored = await world.registry.writeBlob(repository, stream(bytes));
  return putManifest(world, repository, options.tag, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, ...stored },
    layers,
  });
}

async function putManifest(
  world: World,
  repository: string,
  tag: string | undefined,
  manifest: Readonly<Record<string, unknown>> & { readonly mediaType: string },
): Promise<ImageRef> {
  const bytes = Buffer.from(JSON.stringify(manifest));
  const { mediaType } = manifest;
  const { digest } = await world.registry.writeManifest(
    repository,
    { mediaType, bytes },
    tag === undefined ? {} : { tag },
  );
  return { repository, digest };
}

function release(world: World, request: ReleaseRequest, app = "hello") {
  return world.platform.createRelease(app, request, world.write());
}

async function releaseOf(world: World) {
  const records = await world.records("release");
  return records.at(-1);
}

describe("releases of images that exist", () => {
  it("takes command, variables and labels from the image, and keeps the image as one of the app's", async () => {
    await using world = await createWorld();
    await world.put("node", testNode);
    const config = {
      Entrypoint: ["node"],
      Cmd: ["server.js"],
      WorkingDir: "/app",
      Env: [
        "PATH=/usr/local/bin",
        "COLOR=teal",
        "EMPTY=",
        "PORT=80",
        "LD_PRELOAD=/x.so",
        "not a name=1",
        "DINP_X=1",
      ],
      Labels: { [imageLabels.template]: "node" },
    };
    const image = await putImage(world, { config, tag: "v1" });
    const made = await release(world, { image: "tools/made:v1" });
    expect(made).toMatchObject({ number: 1, digest: image.digest, template: "node", unchanged: false });
    expect(made).toMatchObject({ command: ["node", "server.js"], envNames: ["COLOR", "EMPTY"] });
    expect(await releaseOf(world)).toMatchObject({
      image: { repository: "apps/hello", digest: image.digest },
      buildId: null,
      requires: ["node"],
      note: "image tools/made:v1",
    });
    await world.registry.delete("tools/made", image.digest);
    expect((await world.registry.readManifest("apps/hello", image.digest)).digest).toBe(image.digest);
    expect(await release(world, { image: `apps/hello@${image.digest}` })).toMatchObject({ unchanged: true });
  });

  it("looks a tag up once: a moved tag deploys nothing by itself, and the next push deploys what it points to", async () => {
    await using world = await createWorld();
    const first = await putImage(world, { config: { Cmd: ["/app/run"] }, tag: "v1" });
    expect(await release(world, { image: "tools/made:v1" })).toMatchObject({ digest: first.digest });
    const second = await putImage(world, { config: { Cmd: ["/app/run", "2"] }, tag: "v1" });
    expect((await world.platform.getApp("hello")).digest).toBe(first.digest);
    expect(await release(world, { image: "tools/made:v1" })).toMatchObject({
      number: 2,
      digest: second.digest,
    });
    expect(await release(world, { image: "tools/made:v1" })).toMatchObject({ number: 2, unchanged: true });
  });

  it("repeats a release under its key with the first answer, wherever the tag points by then", async () => {
    await using world = await createWorld();
    const first = await putImage(world, { config: { Cmd: ["/app/run"] }, tag: "v1" });
    const request = { image: "tools/made:v1" };
    const answer = await world.platform.createRelease("hello", request, world.write("key"));
    await putImage(world, { config: { Cmd: ["/app/run", "2"] }, tag: "v1" });
    expect(await world.platform.createRelease("hello", request, world.write("key"))).toEqual(answer);
    expect(answer.digest).toBe(first.digest);
  });

  it("deploys another app's image as that app runs it", async () => {
    await using world = await createWorld();
    await world.put("node", testNode);
    const { image, command } = await world.build("shop", { ...nodeApp, Procfile: "web: node server.js" });
    expect(await release(world, { image: image ?? "" }, "copy")).toMatchObject({ template: "node", command });
    expect(await release(world, { image: image ?? "", command: "node other.js" }, "copy")).toMatchObject({
      number: 2,
      command: ["/bin/sh", "-c", "exec node other.js"],
    });
  });

  it("starts a command in the image's own working folder", async () => {
    await using world = await createWorld();
    await world.put("node", testNode);
    const layers = [[{ name: "app/sub/run", content: "x", mode: 0o755 }]];
    await putImage(world, { layers, config: { Cmd: ["./run", "x"], WorkingDir: "/app/sub" }, tag: "sub" });
    const { command } = await release(world, { image: "tools/made:sub" });
    expect(command).toEqual(["/bin/sh", "-c", 'cd "$0" && exec "$@"', "sub", "./run", "x"]);
    await putImage(world, { config: { Cmd: ["app/run"] }, tag: "root" });
    expect((await release(world, { image: "tools/made:root" })).command).toEqual(["/app/run"]);
  });

  it("says what is wrong with a name that is none, and which tags there are", async () => {
    await using world = await createWorld();
    await putImage(world, { tag: "v1", config: { Cmd: ["/app/run"] } });
    const digest = `sha256:${"0".repeat(64)}`;
    for (const image of ["tools/made:v2", "no/such:v1", `tools/made@${digest}`]) {
      await expect(release(world, { image }), image).rejects.toMatchObject({ code: "DINP_IMAGE_NOT_FOUND" });
    }
    await expect(release(world, { image: "tools/made:v2" })).rejects.toMatchObject({
      hint: "Tags of tools/made: v1.",
    });
    const names = [
      "",
      "tools/made",
      ":v1",
      `tools/made:v1@${digest}`,
      `tools/made@${digest}@${digest}`,
      "tools/made@sha256:0",
      "Tools/made:v1",
      "localhost:5000/made:v1",
      "--platform=linux/arm64 tools/made:v1",
      "tools/made:v1\n",
      "tools/made:$(id)",
      "../made:v1",
      "tools//made:v1",
    ];
    for (const image of names) {
      await expect(release(world, { image }), image).rejects.toMatchObject({ code: "DINP_INVALID" });
    }
    await expect(release(world, {})).rejects.toMatchObject({ code: "DINP_INVALID" });
    const both = { image: "tools/made:v1", buildId: "build-1" };
    await expect(release(world, both)).rejects.toMatchObject({ code: "DINP_INVALID" });
    expect(await world.records("app")).toEqual([]);
  });

  it("refuses what cannot run anywhere: no command, another processor, an index, unknown layers", async () => {
    await using world = await createWorld();
    const rejected = async (error: object): Promise<void> => {
      await expect(release(world, { image: "tools/made:v1" })).rejects.toMatchObject(error);
    };
    const image = await putImage(world, { tag: "v1" });
    await rejected({ code: "DINP_NO_COMMAND" });
    await putImage(world, { tag: "v1", architecture: "riscv64", config: { Cmd: ["/app/run"] } });
    await rejected({ code: "DINP_INVALID", message: expect.stringContaining("linux/riscv64") as string });
    await putImage(world, {
      tag: "v1",
      layerType: "application/vnd.oci.image.layer.v1.tar+zstd",
      config: { Cmd: ["/app/run"] },
    });
    await rejected({ code: "DINP_INVALID", message: expect.stringContaining("tar+zstd") as string });
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const platform = { os: "linux", architecture: "amd64" };
    const manifests = [{ mediaType: mediaTypes.manifest, digest: image.digest, size: 1, platform }];
    await putManifest(world, "tools/made", "v1", { schemaVersion: 2, mediaType, manifests });
    await rejected({
      code: "DINP_INVALID",
      hint: `Name one of its images: linux/amd64 is tools/made@${image.digest}.`,
    });
    expect(await world.records("release")).toEqual([]);
  });

  it("refuses what nodes of plain processes cannot run, and takes it where containers run", async () => {
    await using world = await createWorld();
    await world.put("node", testNode);
    const unfit: readonly (readonly [string, ImageOptions])[] = [
      ["no files in /app", { layers: [[{ name: "srv/run", content: "x" }]], config: { Cmd: ["node", "x"] } }],
      [
        "no files in /app",
        { layers: [[run], [{ name: "app/.wh..wh..opq", content: "" }]], config: { Cmd: ["node"] } },
      ],
      [
        "no files in /app",
        { layers: [[run], [{ name: ".wh.app", content: "" }]], config: { Cmd: ["node"] } },
      ],
      ['"/usr/local/bin/node", which is not in /app', { config: { Entrypoint: ["/usr/local/bin/node"] } }],
      ['no file "/app/other"', { config: { Cmd: ["./other"], WorkingDir: "/app" } }],
      [
        'no file "/app/run"',
        {
          layers: [[run], [{ name: "app/.wh.run", content: "" }], [{ name: "app/x", content: "" }]],
          config: { Cmd: ["/app/run"] },
        },
      ],
      ['starts in "/srv"', { config: { Cmd: ["node", "x.js"], WorkingDir: "/srv" } }],
      ['started with "/app/main.py"', { config: { Cmd: ["python3", "/app/main.py"] } }],
      ['started with "exec node /app/x.js"', { config: { Cmd: ["/bin/sh", "-c", "exec node /app/x.js"] } }],
    ];
    for (const [message, options] of unfit) {
      await putImage(world, { tag: "v1", ...options });
      await expect(release(world, { image: "tools/made:v1" }), message).rejects.toMatchObject({
        code: "DINP_INVALID",
        message: expect.stringContaining(message) as string,
        hint: expect.any(String) as string,
      });
    }
    await putImage(world, { tag: "v1", config: { Cmd: ["php", "-S", "x"] } });
    await expect(release(world, { image: "tools/made:v1" })).rejects.toMatchObject({
      code: "DINP_PROGRAM_MISSING",
    });
    await world.put("node", { ...testNode, id: "node-2", programs: null });
    for (const [message, options] of unfit) {
      await putImage(world, { tag: "v1", ...options });
      expect((await release(world, { image: "tools/made:v1" })).number, message).toBeGreaterThan(0);
    }
  });
});
