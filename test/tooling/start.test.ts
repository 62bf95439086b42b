// Looks at what `npm test` built: with vitest alone, run `npm run build` first.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const client = pathToFileURL(join(root, "dist/bin/dinp.js")).href;

/** Node's own modules that a command loads, besides those that every program has. */
function loadedBy(...argv: readonly string[]): Promise<readonly string[]> {
  return loadedIn(`
    process.argv = [process.execPath, "dinp", ...${JSON.stringify(argv)}];
    await import(${JSON.stringify(client)});
  `);
}

/** The same for a program of these lines. */
async function loadedIn(lines: string): Promise<readonly string[]> {
  const script = `
    const before = new Set(process.moduleLoadList);
    process.on("exit", () => {
      const loaded = process.moduleLoadList.filter((name) => !before.has(name));
      process.stderr.write("\\n" + JSON.stringify(loaded.map((name) => name.replace("NativeModule ", ""))));
      process.exitCode = 0;
    });
    ${lines}
  `;
  const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    env: { PATH: process.env["PATH"] },
    timeout: 100_000,
  });
  return JSON.parse(stderr.split("\n").at(-1) ?? "") as readonly string[];
}

/** What a single request takes, which differs between versions of Node. */
const plainRequest = `
  const { Agent, request } = await import("node:http");
  await new Promise((resolve) => request("http://127.0.0.1:1", { agent: new Agent() }).once("error", resolve).end());
`;

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
  const taken = await loadedIn(plainRequest);
  const unneeded = ["child_process", "dns/promises", "https", "internal/deps/undici/undici", "tls", "zlib"];
  expect(loaded.filter((name) => unneeded.includes(name) && !taken.includes(name))).toEqual([]);
});

test("whoever needs a clock loads no logger's library", async () => {
  const system = pathToFileURL(join(root, "dist/adapters/system/index.js")).href;
  const script = `
    import { createRequire } from "node:module";
    import { createPinoLogger, createSystemClock } from ${JSON.stringify(system)};
    const { cache } = createRequire(import.meta.url);
    const isLoaded = () => Object.keys(cache).some((path) => path.includes("/node_modules/pino/"));
    createSystemClock().now();
    const before = isLoaded();
    createPinoLogger();
    console.log(JSON.stringify({ before, after: isLoaded() }));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    env: { PATH: process.env["PATH"] },
    timeout: 100_000,
  });
  expect(JSON.parse(stdout)).toEqual({ before: false, after: true });
});
