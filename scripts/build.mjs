import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";
import { packBlankDatabase } from "./lib/blank-database.mjs";
import { run } from "./lib/run.mjs";
import { StepFailed, runMain } from "./lib/step.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const stampPath = join(root, "dist", ".built-from");
const INPUTS = ["package.json", "package-lock.json", "tsconfig.json", "tsup.config.ts"];

/** The hash of everything that the build reads: equal hashes, equal `dist`. */
function hashOfInputs() {
  const hash = createHash("sha256");
  const sources = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const path of [...INPUTS.map((name) => join(root, name)), ...sources]) {
    hash
      .update(`${path.slice(root.length)}\0`)
      .update(readFileSync(path))
      .update("\0");
  }
  return hash.digest("hex");
}

function builtFrom() {
  try {
    return readFileSync(stampPath, "utf8");
  } catch {
    return null;
  }
}

/** @param {readonly string[]} args */
async function node(...args) {
  const code = await run(process.execPath, args, { quiet: true });
  if (code === 0) return;
  throw new StepFailed(`The build failed; the reason is above.`, code);
}

/** Bundles `src` into `dist`. What a running platform loaded earlier stays, unless `clean`. */
async function bundle({ clean = false } = {}) {
  const hash = hashOfInputs();
  rmSync(clean ? join(root, "dist") : stampPath, { force: true, recursive: true });
  await node(join(root, "node_modules/tsup/dist/cli-default.js"), "--silent");
  await packBlankDatabase(root);
  writeFileSync(stampPath, hash);
}

/** Writes the type declarations of `src` to `dist/types`. */
export async function emitTypes() {
  rmSync(join(root, "dist/types"), { force: true, recursive: true });
  await node(join(root, "node_modules/typescript/bin/tsc"), "-p", join(root, "tsconfig.build.json"));
}

/** Bundles again when a source changed since the last time. Needs the installed dependencies. */
export async function ensureBuilt() {
  if (builtFrom() === hashOfInputs()) return;
  process.stderr.write("Building …\n");
  await bundle();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    await ensureInstalled();
    if (process.argv.includes("--types-only")) {
      await emitTypes();
    } else {
      await bundle({ clean: true });
      await emitTypes();
    }
    return 0;
  });
}
