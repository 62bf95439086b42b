// Looks at what `npm test` built: with vitest alone, run `npm run build` first.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const client = pathToFileURL(join(root, "dist/bin/dinp.js")).href;

/** Node's own modules that a command loads, besides those that every program has. */
async function loadedBy(...argv: readonly string[]): Promise<readonly string[]> {
  const script = `
    const before = new Set(process.moduleLoadList);
    process.argv = [process.execPath, "dinp", ...${JSON.stringify(argv)}];
    process.on("exit", () => {
      const loaded = process.moduleLoadList.filter((name) => !before.has(name));
      process.stderr.write("\\n" + JSON.stringify(loaded.map((name) => name.replace("NativeModule ", ""))));
      process.exitCode = 0;
    });
    await import(${JSON.stringify(client)});
  `;
  const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    env: { PATH: process.env["PATH"] },
    timeout: 20_000,
  });
  return JSON.parse(stderr.split("\n").at(-1) ?? "") as readonly string[];
}

// Each of them, or of what it brings along, takes milliseconds to load.
test("the client loads nothing to start with that only some commands need", async () => {
  const loaded = await loadedBy("--version");
  expect(loaded).toContain("fs/promises");
  const late = [
    "child_process",
    "crypto",
    "dns/promises",
    "http",
    "https",
    "internal/deps/undici/undici",
    "tls",
    "zlib",
  ];
  expect(loaded.filter((name) => late.includes(name))).toEqual([]);
});

test("a command that asks the API loads what plain HTTP needs, and no more", async () => {
  const loaded = await loadedBy(
    "push",
    join(root, "docs"),
    "--app",
    "a",
    "--api",
    "127.0.0.1:1",
    "--token",
    "x",
  );
  expect(loaded).toContain("http");
  const unneeded = ["child_process", "dns/promises", "https", "internal/deps/undici/undici", "tls", "zlib"];
  expect(loaded.filter((name) => unneeded.includes(name))).toEqual([]);
});
