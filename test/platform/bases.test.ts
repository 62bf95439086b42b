import { gzipSync } from "node:zlib";
import { DinpError, isDinpError, readImage, type BaseView, type Images } from "@dinp/core";
import { describe, expect, it } from "vitest";
import { collect, makeTar, stream, type TestEntry } from "../build/support.js";
import { newDockerSave, ociLayout, ociManifest, oldDockerSave, savedImage, sha256 } from "./base-archives.js";
import { archiveOf, createWorld, nodeApp, type World } from "./world.js";

async function add(world: World, name: string, entries: readonly TestEntry[]): Promise<BaseView> {
  return world.platform.addBase(name, { bytes: stream(await makeTar(entries)) }, world.write());
}

const rootFiles: readonly TestEntry[] = [
  { name: "./", type: "directory" },
  { name: "./bin/", type: "directory" },
  { name: "./bin/tool", content: "x", mode: 0o4755, uid: 7 },
  { name: "./dev/null", type: "character-device" },
  { name: "./etc/link", type: "symlink", linkname: "/etc/passwd" },
];

describe("base images", () => {
  it("reads what other tools write: OCI layouts, both forms of docker save, root file systems", async () => {
    await using world = await createWorld();
    const image = await savedImage({ Env: ["LANG=C.UTF-8"] });
    const manifest = `sha256:${sha256(ociManifest(image))}`;
    expect(await add(world, "oci", ociLayout([image]))).toMatchObject({
      image: `bases/oci@${manifest}`,
      source: "OCI archive",
      layers: 2,
    });
    expect(await add(world, "new", newDockerSave(image))).toMatchObject({
      digest: manifest,
      source: "docker-save archive",
    });
    expect(await add(world, "old", oldDockerSave(image, ["x:1", "x:2"]))).toMatchObject({
      source: "docker-save archive",
      layers: 2,
    });
    const [first] = image.layers;
    if (first === undefined) throw new Error("no layer");
    const diff_ids = [first, first].map((layer) => `sha256:${sha256(layer)}`);
    const config = { architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids } };
    const linked = { layers: [first, first], config: Buffer.from(JSON.stringify(config)) };
    expect(await add(world, "linked", oldDockerSave(linked))).toMatchObject({ layers: 2 });
    const root = await makeTar(rootFiles);
    const made = await add(world, "root", rootFiles);
    expect(made).toMatchObject({ source: "root file system", layers: 1, bytes: root.length });
    const { layers, platform } = await readImage(world.registry, {
      repository: "bases/root",
      digest: made.digest,
    });
    expect(platform).toEqual({ architecture: "amd64", os: "linux" });
    expect(await collect(world.registry.readBlob("bases/root", layers[0]?.digest ?? ""))).toEqual(root);
    expect((await world.platform.listBases()).map(({ name }) => name)).toEqual([
      ...["linked", "new", "oci", "old", "root"],
    ]);
  });

  it("takes of several images the one for the nodes, through nested indexes and past attestations", async () => {
    await using world = await createWorld();
    const [amd, arm] = [await savedImage(), await savedImage({}, "arm64")];
    const platforms = ["arm64", "amd64"].map((architecture) => ({ platform: { os: "linux", architecture } }));
    const entries = ociLayout([arm, amd], (_, position) => platforms[position] ?? {});
    const digest = `sha256:${sha256(ociManifest(amd))}`;
    expect(await add(world, "base", entries)).toMatchObject({ digest });
    const inner = Buffer.from(String(entries.find(({ name }) => name === "index.json")?.content));
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const nested = { mediaType, digest: `sha256:${sha256(inner)}`, size: inner.length };
    const attestation = { ...nested, platform: { os: "unknown", architecture: "unknown" } };
    const outer = [
      ...entries.filter(({ name }) => name !== "index.json"),
      { name: `blobs/sha256/${sha256(inner)}`, content: inner },
      { name: "index.json", content: JSON.stringify({ manifests: [attestation, nested] }) },
    ];
    expect(await add(world, "nested", outer)).toMatchObject({ digest });
    await expect(add(world, "two", ociLayout([amd, await savedImage({ User: "x" })]))).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
      message: expect.stringContaining("holds 2 images") as string,
    });
    const only = add(world, "arm", ociLayout([arm]));
    await expect(only).rejects.toMatchObject({ code: "DINP_INVALID" });
  });

  it("refuses what is damaged, incomplete or hostile, and registers nothing", async () => {
    await using world = await createWorld();
    const image = await savedImage();
    const good = ociLayout([image]);
    const [layer] = image.layers;
    if (layer === undefined) throw new Error("no layer");
    const blob = `blobs/sha256/${sha256(layer)}`;
    const without = (name: string): TestEntry[] => good.filter((entry) => entry.name !== name);
    const indexed = (index: unknown): TestEntry[] => [
      ...without("index.json"),
      { name: "index.json", content: typeof index === "string" ? index : JSON.stringify(index) },
    ];
    const old = oldDockerSave(image);
    const listed = (list: unknown): TestEntry[] => [
      ...old.filter(({ name }) => name !== "manifest.json"),
      { name: "manifest.json", content: JSON.stringify(list) },
    ];
    const hostile: readonly (readonly [string, readonly TestEntry[]])[] = [
      ["a blob with other bytes", [...without(blob), { name: blob, content: "other" }]],
      ["a blob that is missing", without(blob)],
      ["no index", without("index.json")],
      ["an index that is not JSON", indexed("{")],
      ["an index of nothing", indexed({ manifests: [] })],
      ["an index that is a list", indexed([])],
      [
        "a digest that is a path",
        indexed({
          manifests: [
            { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: "sha256:../../x", size: 1 },
          ],
        }),
      ],
      [
        "a manifest that is missing",
        indexed({
          manifests: [
            {
              mediaType: "application/vnd.oci.image.manifest.v1+json",
              digest: `sha256:${"0".repeat(64)}`,
              size: 1,
            },
          ],
        }),
      ],
      ["an index that is too large", indexed(" ".repeat(5_000_000))],
      [
        "two images",
        listed([
          { Config: "a", Layers: ["b"] },
          { Config: "c", Layers: ["d"] },
        ]),
      ],
      ["files that are outside", listed([{ Config: "../../etc/passwd", Layers: ["/etc/shadow"] }])],
      ["prototype keys", listed([{ Config: "__proto__", Layers: ["constructor"] }])],
      [
        "layers in another order",
        listed([
          {
            Config: `${sha256(image.config)}.json`,
            Layers: [...old.map(({ name }) => name).filter((name) => name.endsWith("layer.tar"))].reverse(),
          },
        ]),
      ],
      [
        "a root file system that leads outside",
        [
          { name: "bin/x", content: "x" },
          { name: "../../x", content: "x" },
        ],
      ],
      ["nothing", []],
    ];
    for (const [what, entries] of hostile) {
      const error: unknown = await add(world, "base", entries).catch((failure: unknown) => failure);
      const codes = ["DINP_ARCHIVE_REFUSED", "DINP_DIGEST_MISMATCH", "DINP_IMAGE_NOT_FOUND", "DINP_INVALID"];
      expect(isDinpError(error) ? codes.includes(error.code) : String(error), what).toBe(true);
    }
    const raw = (bytes: Uint8Array) =>
      world.platform.addBase("base", { bytes: stream(bytes) }, world.write());
    const tar = await makeTar(good);
    await expect(raw(gzipSync(tar))).rejects.toMatchObject({
      hint: expect.stringContaining("gunzip") as string,
    });
    await expect(raw(tar.subarray(0, tar.length - 3_000))).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
    });
    await expect(raw(Buffer.alloc(5_000, 1))).rejects.toMatchObject({ code: "DINP_ARCHIVE_REFUSED" });
    expect(await world.records("base")).toEqual([]);
    for (const name of ["", "A", "a/b", "a:b", "../a", "--platform=x", "a\n", "$(id)", "a".repeat(64)]) {
      await expect(add(world, name, good), name).rejects.toMatchObject({ code: "DINP_INVALID" });
    }
  });

  it("are what apps are put on: named by the request, dinp.yaml or the template, pinned by digest", async () => {
    await using world = await createWorld();
    const config = {
      Env: ["LANG=C.UTF-8"],
      User: "app",
      Entrypoint: ["/entry"],
      Cmd: ["x"],
      ExposedPorts: { "1/tcp": {} },
    };
    const saved = await savedImage(config);
    const base = await add(world, "tools", ociLayout([saved]));
    const build = await world.build("hello", { ...nodeApp, "dinp.yaml": "base: tools\n" });
    expect(build).toMatchObject({ base: `tools@${base.digest}`, template: "node" });
    const image = { repository: "apps/hello", digest: build.digest ?? "" };
    const made = await readImage(world.registry, image);
    expect(made).toMatchObject({
      env: ["LANG=C.UTF-8"],
      user: "app",
      workingDir: "/app",
      command: build.command,
    });
    expect(made.layers.slice(0, 2).map(({ digest }) => digest)).toEqual(
      saved.layers.map((layer) => `sha256:${sha256(layer)}`),
    );
    expect(made.diffIds).toHaveLength(3);
    const manifest = Buffer.from(made.manifest.bytes).toString();
    expect(manifest).toContain(`"org.opencontainers.image.base.digest":"${base.digest}"`);
    const { lines } = await world.platform.getBuildLog("hello", build.id);
    expect(lines.join("\n")).toContain(`base: tools@${base.digest} (named by dinp.yaml)`);
    const bare = await world.build("hello");
    expect(bare.base).toBeNull();
    const said = (await world.platform.getBuildLog("hello", bare.id)).lines.join("\n");
    expect(said).toContain("base: none (the template asks for node, which is not registered");
    const node = await add(world, "node", rootFiles);
    expect((await world.build("hello")).base).toBe(`node@${node.digest}`);
    const bytes = archiveOf(nodeApp);
    const wrong = world.platform.createBuild("hello", { bytes, base: "other" }, world.write());
    await expect(wrong).rejects.toMatchObject({
      code: "DINP_INVALID",
      hint: expect.stringContaining("Base images: node, tools") as string,
    });
    for (const name of ["--platform=linux/arm64 tools", "tools\n", "$(id)", "tools@sha256:0", "../tools"]) {
      const named = world.platform.createBuild(
        "hello",
        { bytes: archiveOf(nodeApp), base: name },
        world.write(),
      );
      await expect(named, name).rejects.toMatchObject({ code: "DINP_INVALID" });
    }
  });

  it("can be pointed elsewhere or removed without harm to what was built", async () => {
    await using world = await createWorld();
    await add(world, "tools", ociLayout([await savedImage()]));
    const files = { ...nodeApp, "dinp.yaml": "base: tools\n" };
    const build = await world.build("hello", files);
    const made = await readImage(world.registry, { repository: "apps/hello", digest: build.digest ?? "" });
    const second = await add(world, "tools", rootFiles);
    expect((await world.platform.listBases())[0]).toMatchObject({ digest: second.digest });
    expect((await world.build("hello", files)).base).toBe(`tools@${second.digest}`);
    await world.platform.removeBase("tools", world.write());
    expect(await world.platform.listBases()).toEqual([]);
    await expect(world.registry.readManifest("bases/tools", second.digest)).rejects.toMatchObject({
      code: "DINP_IMAGE_NOT_FOUND",
    });
    for (const { digest } of made.layers) await collect(world.registry.readBlob("apps/hello", digest));
    await expect(world.build("hello", files)).rejects.toMatchObject({ code: "DINP_INVALID" });
    await expect(world.platform.removeBase("tools", world.write())).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
    });
    const types = (await world.records("event"))
      .map(({ type }) => type)
      .filter((type) => type.startsWith("base"));
    expect(types).toEqual(["base.added", "base.added", "base.removed"]);
  });

  it("are made of images in the registry too; the same again keeps what is there", async () => {
    await using world = await createWorld();
    const { image, digest } = await world.build("hello");
    const base = await world.platform.addBase("copy", { image: image ?? "" }, world.write());
    expect(base).toMatchObject({ image: `bases/copy@${digest ?? ""}`, source: `image ${image ?? ""}` });
    await world.platform.addBase("copy", { image: image ?? "" }, world.write());
    expect((await world.registry.readManifest("bases/copy", digest ?? "")).digest).toBe(digest);
    const none = world.platform.addBase("copy", { image: "apps/hello:none" }, world.write());
    await expect(none).rejects.toMatchObject({ code: "DINP_IMAGE_NOT_FOUND" });
  });

  it("says of the platform's registry that it refuses the platform, and not of the token that it is no good", async () => {
    const importArchive = (): Promise<never> =>
      Promise.reject(new DinpError("DINP_UNAUTHENTICATED", "The registry wants a user and a password."));
    await using world = await createWorld({ images: { importArchive } as unknown as Images });
    await expect(add(world, "node", rootFiles)).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      message: expect.stringContaining("The platform's registry") as string,
    });
  });
});
