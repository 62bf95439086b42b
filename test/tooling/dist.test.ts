// Looks at what `npm test` built: with vitest alone, run `npm run build` first.
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { findEntries } from "../../scripts/lib/entries.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

/** The built package where none of its optional dependencies can be found. */
function packageWithoutDrivers(): string {
  const folder = mkdtempSync(join(tmpdir(), "dinp-package-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  cpSync(join(root, "dist"), join(folder, "dist"), {
    recursive: true,
    filter: (path) => !path.endsWith(".map") && !path.endsWith("types"),
  });
  for (const name of Object.keys(dependencies)) {
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, "node_modules", name), link);
  }
  return folder;
}

const names = findEntries().flatMap(({ subpath }) =>
  subpath === null ? [] : [`@dinp/core${subpath.slice(1)}`],
);

test("every entry loads by its public name, without any driver and without beginning to work", async () => {
  const script = `
    for (const name of ${JSON.stringify(names)}) await import(name);
    console.log("all loaded");
    process.on("beforeExit", () => console.log("nothing is left to do"));
  `;
  // By its own name a package is resolved through the same exports as by others.
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd: packageWithoutDrivers(),
    timeout: 100_000,
  });
  expect(stdout).toBe("all loaded\nnothing is left to do\n");
});

test("there is one DinpError, however the package is imported", () => {
  // Chunks of earlier builds stay in dist, for a platform that still runs on them: only what is reached counts. The client has its
  // own copy of what it uses, in its one file.
  const shared = findEntries().filter(({ output }) => output !== "bin/dinp");
  const reached = new Set(shared.map(({ output }) => join(root, "dist", `${output}.js`)));
  const defining: string[] = [];
  for (const file of reached) {
    const text = readFileSync(file, "utf8");
    for (const [, path = ""] of text.matchAll(/["'](\.{1,2}\/[^"'\s]+\.js)["']/g)) {
      const target = join(dirname(file), path);
      if (existsSync(target)) reached.add(target);
    }
    if (/class DinpError\b|DinpError = class/.test(text)) defining.push(file);
  }
  expect(defining).toHaveLength(1);
});

test("a DinpError of another copy of the package is one", async () => {
  const folders = [packageWithoutDrivers(), packageWithoutDrivers()];
  const script = `
    const [one, other] = await Promise.all(${JSON.stringify(folders)}.map((folder) => import(folder + "/dist/core/index.js")));
    const error = new one.DinpError("DINP_BUSY", "Later.");
    const answers = [one === other, error instanceof other.DinpError, other.isDinpError(error, "DINP_BUSY"), other.isDinpError(error, "DINP_INVALID")];
    const others = [new Error("no"), { code: "DINP_BUSY" }, null, undefined, "DINP_BUSY"].map((value) => value instanceof other.DinpError);
    class Narrower extends one.DinpError {}
    const narrower = new Narrower("DINP_BUSY", "Later.");
    answers.push(error instanceof Narrower, narrower instanceof Narrower, narrower instanceof other.DinpError);
    console.log(JSON.stringify([answers, others, JSON.stringify(error), Object.keys(error)]));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    timeout: 100_000,
  });
  const shown = { name: "DinpError", code: "DINP_BUSY", retryable: false, details: {} };
  expect(JSON.parse(stdout)).toEqual([
    [false, true, true, false, false, true, true],
    [false, false, false, false, false],
    JSON.stringify(shown),
    ["name", "code", "retryable", "hint", "details"],
  ]);
});
