// Packs the package as it would be published, and uses it as others do: from a project of their own.
import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFailed, onTestFinished, test } from "vitest";
import { brokenLinks } from "../docs/broken-links.js";
import { pagesOf } from "../docs/markdown.js";
import { eventually, freePort, projectRoot, runProgram } from "../e2e/harness.js";

const work = mkdtempSync(join(tmpdir(), "dinp-packed-"));
// Run by root, instances have users of their own, who must reach their folders below this one.
chmodSync(work, 0o711);
const bin = (name: string): string => join(projectRoot, "node_modules/.bin", name);
/** npx looks around first, and the store is made at the first start. */
const START_MS = 120_000;
const manifest = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
  readonly version: string;
  readonly files: readonly string[];
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
};
let tarball = "";

beforeAll(async () => {
  const copy = join(work, "source");
  mkdirSync(copy);
  const inputs = ["package.json", "package-lock.json", "LICENSE", "scripts", "tsup.config.ts"];
  const shipped = manifest.files.filter((name) => name !== "dist" && !name.startsWith("!"));
  for (const name of [...inputs, "tsconfig.json", "tsconfig.build.json", ...shipped]) {
    cpSync(join(projectRoot, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(projectRoot, "node_modules"), join(copy, "node_modules"));
  await ran("npm", ["pack", "--pack-destination", work, "--loglevel=error"], copy);
  tarball = join(work, readdirSync(work).find((name) => name.endsWith(".tgz")) ?? "");
}, 600_000);

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
}, 300_000);

/** Runs a program to its end, in `cwd`; fails with what it wrote unless it succeeds. */
async function ran(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command, args, { cwd, timeoutMs: 280_000 });
  if (code !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${String(code)}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** A new project that has installed the package. */
async function project(name: string, ...flags: readonly string[]): Promise<string> {
  const folder = join(work, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  await ran("npm", ["install", tarball, ...quiet, ...flags], folder);
  return folder;
}

let made: Promise<string> | null = null;

/** The one project with all dependencies: some are compiled when they are installed. */
function fullProject(): Promise<string> {
  made ??= project("full");
  return made;
}

describe("the packed package", () => {
  test("holds what it should: what its pages link to, the sources of its maps, and nothing else", async () => {
    await ran("tar", ["-xzf", tarball, "-C", work], work);
    const root = join(work, "package");
    const shipped = manifest.files
      .filter((name) => !name.startsWith("!"))
      .map((name) => name.split("/", 1)[0]);
    expect(new Set(readdirSync(root))).toEqual(new Set([...shipped, "LICENSE", "package.json"]));
    const pages = pagesOf(root);
    expect(pages.length).toBeGreaterThan(10);
    expect(brokenLinks(root, pages)).toEqual([]);
    const files = readdirSync(join(root, "dist"), { recursive: true, encoding: "utf8" });
    const sources = files
      .filter((name) => name.endsWith(".js.map"))
      .flatMap((name) => {
        const map = JSON.parse(readFileSync(join(root, "dist", name), "utf8")) as { sources: string[] };
        return map.sources.map((source) => join(root, "dist", dirname(name), source));
      });
    expect(sources.length).toBeGreaterThan(100);
    expect(sources.filter((source) => !existsSync(source))).toEqual([]);
    const built = /\.(js|js\.map|d\.ts)$|^[^.]+$|^adapters\/dash\/page\/[a-z]+\.(html|css|svg)$/;
    // The database is of the version of PGlite that users get.
    const blank = `adapters/pglite/blank-${manifest.optionalDependencies["@electric-sql/pglite"] ?? ""}.tar.gz`;
    expect(files.filter((name) => !built.test(name))).toEqual([blank]);
  });

  test("is as publint wants it", async () => {
    await ran(bin("publint"), ["run", tarball, "--strict"], work);
  }, 300_000);

  test("has types that every way of importing ES modules finds", async () => {
    await ran(bin("attw"), [tarball, "--profile", "esm-only", "--no-emoji", "--format", "ascii"], work);
  }, 300_000);
});

test("the embedding example is the README's, compiles strictly, and answers", async () => {
  const source = readFileSync(join(projectRoot, "examples/embed/embed.ts"), "utf8");
  expect(readFileSync(join(projectRoot, "README.md"), "utf8")).toContain(`\`\`\`ts\n${source}\`\`\`\n`);
  const folder = await fullProject();
  writeFileSync(join(folder, "embed.ts"), source);
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  for (const types of ["node", "../undici-types"]) {
    const at = join(folder, "node_modules/@types", types);
    // An optional dependency may have brought it.
    if (!existsSync(at)) symlinkSync(join(projectRoot, "node_modules/@types", types), at);
  }
  const entries = Object.keys(manifest.exports).filter((entry) => entry !== "./package.json");
  const imports = entries.map((entry, n) => `export * as e${String(n)} from "@dinp/core${entry.slice(1)}";`);
  writeFileSync(join(folder, "entries.ts"), imports.join("\n"));
  const options = ["--strict", "--module", "nodenext", "--target", "es2023", "--types", "node"];
  await ran(bin("tsc"), [...options, "embed.ts", "entries.ts"], folder);
  await ran(process.execPath, ["entries.js"], folder);
  const app = join(projectRoot, "examples/apps/hello");
  const output = await ran(process.execPath, ["embed.js", app, join(folder, "embedded")], folder);
  expect(output).toContain("release 1: complete");
  expect(output).toContain("200: <h1>hello is running</h1>");
}, 600_000);

test("the programs say their version; npx dinp up serves and ends in order at an interrupt", async () => {
  const folder = await fullProject();
  for (const program of ["dinp", "dinp-dash", "dinp-router"])
    expect(await ran("npx", [program, "--version"], folder)).toBe(`${manifest.version}\n`);
  const [api, router] = [await freePort(), await freePort()];
  const args = ["dinp", "up", "--data", join(folder, "data"), "--api", `127.0.0.1:${String(api)}`];
  const child = spawn("npx", [...args, "--router", `127.0.0.1:${String(router)}`], {
    cwd: folder,
    env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: join(folder, "config") },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      process.kill(-child.pid, "SIGKILL");
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | string | null>((resolve) => {
    child.once("close", (code, signal) => {
      resolve(code ?? signal);
    });
  });
  onTestFailed(() => {
    console.error(output);
  });
  const schema = await eventually(
    "the API answers",
    async () => {
      if (child.exitCode !== null) throw new Error(output);
      const answer = await fetch(`http://127.0.0.1:${String(api)}/openapi.json`);
      return answer.ok && answer.json();
    },
    START_MS,
  );
  expect(schema).toMatchObject({ openapi: expect.any(String) });
  await eventually(
    "the router answers",
    async () => (await fetch(`http://127.0.0.1:${String(router)}/`)).status === 404,
  );
  // As a terminal does it: to the whole group. npx itself then ends by the signal, once the platform has ended.
  if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
  expect(await ended).toBeOneOf([0, "SIGINT"]);
  expect(output).toContain("stopping: router, API, instances, store");
  expect(output).not.toMatch(/error|did not end well/i);
  for (const port of [api, router]) {
    await expect(fetch(`http://127.0.0.1:${String(port)}/`)).rejects.toThrow("fetch failed");
  }
}, 600_000);

test("without the optional dependencies it says which driver to install", async () => {
  const folder = await project("bare", "--omit=optional");
  const args = [
    "dinp",
    "up",
    "--data",
    join(folder, "data"),
    "--api",
    "127.0.0.1:0",
    "--router",
    "127.0.0.1:0",
  ];
  const env = { ...process.env, HOME: folder };
  const { code, stderr } = await runProgram("npx", args, { cwd: folder, env });
  expect([code, stderr]).toEqual([1, expect.stringContaining("npm install @electric-sql/pglite")]);
  const script = `
    import { createPgliteStateStore } from "@dinp/core/pglite";
    await createPgliteStateStore({ dataDir: "store" }).open().catch((error) => console.log(error.code));
  `;
  const output = await ran(process.execPath, ["--input-type=module", "-e", script], folder);
  expect(output).toBe("DINP_DRIVER_MISSING\n");
}, 600_000);
