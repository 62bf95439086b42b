// bench.mjs [NAME] [--check …]: runs bench/NAME.ts over the built package; without a name, every bench.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureBuilt } from "./build.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { run } from "./lib/run.mjs";
import { environmentOf, serviceNames } from "./lib/services/index.mjs";
import { StepFailed, runMain } from "./lib/step.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

await runMain(async () => {
  process.chdir(root);
  const [first = "", ...rest] = process.argv.slice(2);
  const isNamed = first !== "" && !first.startsWith("-");
  const names = isNamed ? [first] : benches();
  const args = isNamed ? rest : process.argv.slice(2);
  if (isNamed && !benches().includes(first)) {
    throw new StepFailed(`There is no bench ${JSON.stringify(first)}; there are ${benches().join(", ")}.`, 2);
  }
  await ensureInstalled();
  await ensureBuilt();
  const { variables } = await environmentOf(serviceNames);
  const env = { ...variables, ...process.env };
  let exitCode = 0;
  for (const name of names) {
    const code = await runBench(name, args, env);
    if (code > 128) return code;
    exitCode = Math.max(exitCode, code);
  }
  return exitCode;
});

/** The names of all benches. */
function benches() {
  const folder = join(root, "bench");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => entry.name.slice(0, -".ts".length))
    .sort();
}

/**
 * @param {string} name
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
async function runBench(name, args, env) {
  const { build } = await import("esbuild");
  const outfile = join(root, "temp/bench", `${name}.mjs`);
  await build({
    entryPoints: [join(root, "bench", `${name}.ts`)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    // `@dinp/core` is this package by its own name: what is measured is what is published.
    packages: "external",
    tsconfigRaw: {},
    logLevel: "warning",
  });
  return run(process.execPath, [outfile, ...args], { env });
}
