import { DinpError, type BaseSource, type ByteStream, type StepRunner } from "@dinp/core";
import { describe, expect, it } from "vitest";
import { makeTar, makeTarGz, openWorkshop, stream, type TestEntry } from "./support.js";

/** Gives this instead of what pip would make. */
function giving(output: () => ByteStream): StepRunner & { readonly commands: (readonly string[])[] } {
  const commands: (readonly string[])[] = [];
  return {
    commands,
    run: (step) => {
      commands.push(step.command);
      return (async function* () {
        let bytes = 0;
        for await (const piece of step.input) bytes += piece.length;
        expect(bytes).toBeGreaterThan(0);
        yield* output();
      })();
    },
  };
}

const files: readonly TestEntry[] = [
  { name: "main.py", content: "" },
  { name: "pip_requirements.txt", content: "$(touch x)\n; `id` ' \" --platform=x\n" },
];

async function installing(runner: StepRunner, limits: { readonly imageFilesMax?: number } = {}) {
  await using shop = await openWorkshop();
  // A base of the registry's own: any image will do.
  const made = await shop.builder.build({
    repository: "bases/python",
    bytes: stream(await makeTarGz([{ name: "index.html", content: "x" }])),
  });
  const bases: BaseSource = {
    find: () => Promise.resolve(made.image),
    names: () => Promise.resolve(["python"]),
  };
  await using workshop = await openWorkshop(limits, {
    bases,
    registry: shop.registry,
    steps: { runner, pipIndexUrl: null },
  });
  const bytes = stream(await makeTarGz(files));
  return await workshop.builder.build({ repository: "apps/a", bytes });
}

describe("what pip installed", () => {
  it("becomes a layer, whatever the requirements say of shells", async () => {
    const tar = await makeTar([
      { name: "greet/", type: "directory" },
      { name: "greet/__init__.py", content: "x", mode: 0o4777 },
      { name: "greet/link", type: "symlink", linkname: "__init__.py" },
    ]);
    const runner = giving(() => stream(tar));
    expect(await installing(runner)).toMatchObject({ manifest: { env: { PYTHONPATH: ".pip" } } });
    expect(runner.commands[0]?.slice(0, 3)).toEqual(["python3", "-u", "-c"]);
    expect(JSON.stringify(runner.commands)).not.toContain("touch");
    const empty = giving(() => stream(Buffer.alloc(1_024)));
    expect(await installing(empty)).toMatchObject({ template: "python" });
  });

  it.each([
    ["a climbing path", { name: "../../etc/passwd", content: "x" }],
    ["an absolute path", { name: "/etc/passwd", content: "x" }],
    ["a link that leads outside", { name: "a", type: "symlink", linkname: "../main.py" }],
    ["a link to the machine", { name: "a", type: "symlink", linkname: "/etc/passwd" }],
    ["a hard link outside", { name: "a", type: "link", linkname: "../main.py" }],
    ["a device", { name: "a", type: "character-device" }],
    ["a pipe", { name: "a", type: "fifo" }],
  ] satisfies readonly (readonly [string, TestEntry])[])("is refused with %s", async (_what, entry) => {
    const tar = await makeTar([entry]);
    await expect(installing(giving(() => stream(tar)))).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
    });
  });

  it("is refused when it is cut, no tar, or too many files; the step's own failure is told", async () => {
    const tar = await makeTar(
      Array.from({ length: 50 }, (_, i) => ({ name: `f${String(i)}`, content: "x" })),
    );
    for (const bytes of [tar.subarray(0, 700), Buffer.alloc(2_000, 1)]) {
      await expect(installing(giving(() => stream(bytes)))).rejects.toMatchObject({
        code: "DINP_ARCHIVE_REFUSED",
      });
    }
    await expect(
      installing(
        giving(() => stream(tar)),
        { imageFilesMax: 20 },
      ),
    ).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
    });
    const failing = giving(() =>
      (async function* () {
        yield await Promise.resolve(tar.subarray(0, 600));
        throw new DinpError("DINP_TIMEOUT", "It took too long.");
      })(),
    );
    await expect(installing(failing)).rejects.toMatchObject({ code: "DINP_TIMEOUT" });
  });
});
