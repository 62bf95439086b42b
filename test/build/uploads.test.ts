import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import {
  builtInTemplates,
  detectFormat,
  readImage,
  type BuildResult,
  type ImageBuildRequest,
} from "@dinp/core";
import { makeZip, type ZipEntry } from "../adapters/support/make-zip.js";
import { collect, makeTar, openWorkshop, stream, type Workshop } from "./support.js";

const repository = "apps/hello";

type Upload = Omit<ImageBuildRequest, "repository" | "bytes"> & { readonly bytes: Uint8Array };

function build(workshop: Workshop, { bytes, ...request }: Upload): Promise<BuildResult> {
  return workshop.builder.build({ repository, bytes: stream(bytes, 300), ...request });
}

/** What the image has below `/app`: files with their modes and content. */
async function filesOf(workshop: Workshop, { image }: BuildResult): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const options = { format: "tar" as const, maxBytes: 1e9, maxEntries: 1e4 };
  for (const { digest } of (await readImage(workshop.registry, image)).layers) {
    const blob = workshop.registry.readBlob(repository, digest);
    for await (const { path, type, mode, content } of workshop.archive.read(blob, options)) {
      if (type === "file") found[path] = `${mode.toString(8)} ${(await collect(content)).toString("latin1")}`;
    }
  }
  return found;
}

const war: readonly ZipEntry[] = [
  { name: "META-INF/MANIFEST.MF", content: "Manifest-Version: 1.0\n" },
  { name: "WEB-INF/web.xml", content: "<web-app/>", deflate: true },
  { name: "index.html", content: "hello" },
];
const elf = Buffer.concat([Buffer.from("\x7fELF\x02\x01", "latin1"), Buffer.alloc(1_000)]);

describe("an upload", () => {
  it.each([
    ["a zip", [{ name: "index.html", content: "x" }], undefined, "static", "app/index.html"],
    [
      "a zip by another name",
      [{ name: "index.html", content: "x" }],
      "site.tar.gz",
      "static",
      "app/index.html",
    ],
    ["a .war", war, "Shop.WAR", "java-war", "app/WEB-INF/web.xml"],
    ["a .war without a name", war, undefined, "java-war", "app/WEB-INF/web.xml"],
    ["a .war without WEB-INF", [{ name: "index.html", content: "x" }], "a.war", "java-war", "app/index.html"],
    ["a zip with a jar in it", [{ name: "tool.jar", content: "x" }], "all.zip", "java-jar", "app/tool.jar"],
  ])("that is %s is unpacked", async (_, entries, fileName, template, file) => {
    await using workshop = await openWorkshop();
    const built = await build(workshop, { bytes: makeZip(entries), fileName });
    expect(built.template).toBe(template);
    expect(built.files).toBe(entries.length);
    expect(Object.keys(await filesOf(workshop, built))).toContain(file);
  });

  it("that is a zip gives the same image as a tar of the same files", async () => {
    await using workshop = await openWorkshop();
    const files = [
      { name: "index.html", content: "hello" },
      { name: "bin/run", content: "#!/bin/sh\n" },
    ];
    const tar = await makeTar(
      files.map((file) => ({ ...file, mode: file.name === "bin/run" ? 0o755 : 0o644 })),
    );
    const zip = makeZip(
      files.map((file) => ({ ...file, mode: file.name === "bin/run" ? 0o100755 : 0o100644 })),
    );
    const digests = [];
    for (const bytes of [tar, gzipSync(tar), zip])
      digests.push((await build(workshop, { bytes })).image.digest);
    expect(new Set(digests).size).toBe(1);
  });

  it("that is a .jar is kept whole", async () => {
    await using workshop = await openWorkshop();
    const bytes = makeZip([{ name: "Main.class", content: "x" }]);
    for (const upload of [{ fileName: "shop-1.2.jar" }, { template: "java-jar" }]) {
      const built = await build(workshop, { bytes, ...upload });
      expect(built).toMatchObject({
        template: "java-jar",
        requires: ["java"],
        files: 1,
        bytes: bytes.length,
      });
      expect(built.command.slice(0, 2)).toEqual(["/bin/sh", "-c"]);
      expect(built.command.at(-1)).toBe("app.jar");
      expect(await filesOf(workshop, built)).toEqual({ "app/app.jar": `644 ${bytes.toString("latin1")}` });
    }
    const plain = await build(workshop, { bytes, fileName: "a.jar", template: "plain", command: "x" });
    expect(Object.keys(await filesOf(workshop, plain))).toEqual(["app/Main.class"]);
  });

  it("that is one program is kept whole and can be executed", async () => {
    await using workshop = await openWorkshop();
    for (const bytes of [elf, Buffer.from("#!/bin/sh\nexit\n")]) {
      const built = await build(workshop, { bytes, fileName: "server-linux-amd64" });
      expect(built).toMatchObject({ template: "binary", command: ["./app"], requires: [], files: 1 });
      expect(await filesOf(workshop, built)).toEqual({ "app/app": `755 ${bytes.toString("latin1")}` });
    }
    await expect(build(workshop, { bytes: elf, template: "node" })).rejects.toMatchObject({
      code: "DINP_INVALID",
      message: "The upload is a single program, but the template node takes an archive.",
      hint: expect.stringContaining("java-jar, binary") as string,
    });
  });

  it.each([
    ["nothing", Buffer.alloc(0), /The upload is empty/],
    ["text", Buffer.from("hello"), /begins with the bytes 68 65 6c 6c/],
    ["a program for macOS", Buffer.from([0xcf, 0xfa, 0xed, 0xfe, 1]), /is a program for macOS/],
    ["xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), /is an xz file/],
    ["half a tar header", Buffer.alloc(300), /begins with the bytes 00 00 00 00/],
  ])("of %s is refused", async (_, bytes, message) => {
    await using workshop = await openWorkshop();
    await expect(build(workshop, { bytes, fileName: "a.tar.gz" })).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
      message: expect.stringMatching(message) as string,
    });
  });

  it.each([
    ["a climbing path", { name: "../evil", content: "x" }, '"../evil"'],
    ["an absolute path", { name: "/etc/passwd", content: "x" }, '"/etc/passwd"'],
    ["a climbing path in the manner of DOS", { name: "..\\evil", mode: null }, '"../evil"'],
    ["a link out", { name: "out", content: "../../etc", mode: 0o120777 }, '"out"'],
    ["a device", { name: "sda", mode: 0o060644 }, '"sda"'],
    ["a whiteout", { name: ".wh.x" }, '".wh.x"'],
    ["a file with a folder's name", { name: "d/", content: "x" }, '"d/"'],
  ])("that is a zip with %s is refused as a tar is", async (_, entry, named) => {
    await using workshop = await openWorkshop();
    const bytes = makeZip([{ name: "index.html", content: "x" }, entry]);
    await expect(build(workshop, { bytes })).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
      message: expect.stringContaining(named) as string,
    });
  });

  it("is told by its first bytes", async () => {
    const tar = await makeTar([{ name: "a", content: "x" }]);
    expect(detectFormat(tar)).toBe("tar");
    expect(detectFormat(Buffer.alloc(1_024))).toBe("tar");
    expect(detectFormat(gzipSync(tar))).toBe("tar.gz");
    expect(detectFormat(makeZip([]))).toBe("zip");
    expect(detectFormat(elf)).toBe("file");
    tar[0] = 0x62;
    expect(detectFormat(tar)).toBeNull();
  });

  it("of a template with a port of its own makes an image that says so", async () => {
    const templates = builtInTemplates.map((each) =>
      each.name === "binary" ? { ...each, port: 8080 } : each,
    );
    await using workshop = await openWorkshop({}, { templates });
    const { image } = await build(workshop, { bytes: elf });
    expect((await readImage(workshop.registry, image)).labels).toMatchObject({ "io.dinp.port": "8080" });
  });

  it("cannot be a program where no template takes one", async () => {
    await using workshop = await openWorkshop(
      {},
      { templates: builtInTemplates.filter(({ keepAs }) => keepAs === null) },
    );
    await expect(build(workshop, { bytes: elf })).rejects.toMatchObject({ code: "DINP_INVALID" });
  });
});
