import { expect, it } from "vitest";
import { readImage } from "@dinp/core";
import { ignoreRules } from "../../src/core/build/dockerfile/index.js";
import { makeTarGz, openWorkshop, stream, type TestEntry } from "./support.js";

const hostile: TestEntry = { name: "Dockerfile", content: Buffer.from([0xff, 0x00, 0x46]) };
const repository = "apps/hello";

it("packs an upload that merely has a Dockerfile as any other: neither that nor .dockerignore changes anything", async () => {
  await using workshop = await openWorkshop();
  const app = [
    { name: "server.js", content: "" },
    { name: "node_modules/x.js", content: "x" },
  ];
  const ignore = { name: ".dockerignore", content: "*\n[" };
  const bytes = stream(await makeTarGz([hostile, ignore, ...app]));
  const built = await workshop.builder.build({ repository, bytes });
  expect(built).toMatchObject({ template: "node", command: ["node", "server.js"], base: null, files: 4 });
  const { layers } = await readImage(workshop.registry, built.image);
  const paths: string[] = [];
  const layer = workshop.registry.readBlob(repository, layers[0]?.digest ?? "");
  for await (const { path } of workshop.archive.read(layer, { format: "tar", maxBytes: 1e6, maxEntries: 99 }))
    paths.push(path);
  expect(paths).toEqual(
    expect.arrayContaining(["app/.dockerignore", "app/Dockerfile", "app/node_modules/x.js", "app/server.js"]),
  );
});

it("refuses the template dockerfile where nothing of an upload is run", async () => {
  await using workshop = await openWorkshop();
  const refused = {
    code: "DINP_INVALID",
    message: expect.stringMatching(/runs programs of uploads, which this platform does not/),
    hint: expect.stringMatching(/--builder docker/),
    details: { field: "template" },
  };
  const files = [{ name: "Dockerfile", content: "FROM linux" }];
  // Said before the upload is read.
  const unread = (async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.reject<Uint8Array>(new Error("The upload was read."));
  })();
  const byRequest = workshop.builder.build({ repository, bytes: unread, template: "dockerfile" });
  await expect(byRequest).rejects.toMatchObject(refused);
  const manifest = { name: "dinp.yaml", content: "template: dockerfile" };
  const byManifest = workshop.builder.build({
    repository,
    bytes: stream(await makeTarGz([manifest, ...files])),
  });
  await expect(byManifest).rejects.toMatchObject(refused);
});

it.each([
  ["*.md\n!keep.md", ["a.md", "b/a.md", "keep.md"], ["a.md"]],
  ["**/*.md", ["a.md", "b/c/a.md", "a.mdx"], ["a.md", "b/c/a.md"]],
  ["b\n!b/keep", ["b", "b/x", "b/keep", "c/b"], ["b", "b/x"]],
  ["# no\n\n/a/\n./c", ["a/x", "c", "# no", "b"], ["a/x", "c"]],
  ["a/**/z", ["a/z", "a/b/z", "a/b/c/z", "z"], ["a/z", "a/b/z", "a/b/c/z"]],
  ["?[a-c][^x]", ["1ay", "1ax", "1dy", "1a/"], ["1ay"]],
  ["\\*x", ["*x", "ax"], ["*x"]],
  ["[]-a]\n", [], []],
])("%j leaves out of %j those: %j", (rules, paths, expected) => {
  const isLeftOut = ignoreRules(rules);
  expect(paths.filter(isLeftOut)).toEqual(expected);
});

it("says which line of .dockerignore is no pattern, and comes to an end with any", () => {
  expect(() => ignoreRules("a\n[b")).toThrow(/line 2: "\[b" is no pattern/);
  // By trying every way to match, these would take longer than the universe has lasted.
  const slow = ignoreRules(`${"*a".repeat(2_000)}b\n${"**/a/".repeat(500)}b`);
  expect(slow("a".repeat(4_000))).toBe(false);
  expect(slow("a/".repeat(1_000))).toBe(false);
});
