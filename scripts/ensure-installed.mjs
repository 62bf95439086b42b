// Uses nothing but Node itself: it runs before anything is installed.
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "./lib/run.mjs";
import { StepFailed, runMain } from "./lib/step.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * @typedef {{ version?: string, optional?: boolean, devOptional?: boolean, optionalDependencies?: Record<string, string> }} LockedPackage
 * @typedef {{ packages: Record<string, LockedPackage> }} LockFile
 */

/**
 * @param {string} path
 * @returns {LockFile | null}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

/**
 * Why `npm ci` has to run in `directory`, or null when `node_modules` holds what `package-lock.json` names. Contents
 * are compared, not times: a checkout, a copy or a restored cache sets times as it likes. Optional packages may be
 * missing (they are for other systems), but not those that `package.json` itself names.
 *
 * @param {string} directory
 * @returns {string | null}
 */
export function whyInstall(directory) {
  const wanted = readLock(join(directory, "package-lock.json"));
  if (wanted === null) return null;
  const present = readLock(join(directory, "node_modules", ".package-lock.json"));
  if (present === null) return "nothing is installed yet";
  const named = new Set(Object.keys(wanted.packages[""]?.optionalDependencies ?? {}));
  for (const [path, locked] of Object.entries(wanted.packages)) {
    if (path === "") continue;
    const name = path.replace("node_modules/", "");
    const installed = present.packages[path];
    if (installed === undefined) {
      const mayBeMissing = (locked.optional === true || locked.devOptional === true) && !named.has(name);
      if (!mayBeMissing) return `${name} is not installed`;
    } else if (installed.version !== locked.version) {
      return `${name} is ${installed.version ?? "?"} and package-lock.json says ${locked.version ?? "?"}`;
    }
  }
  return null;
}

function assertNodeVersion() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new StepFailed(`Node 20.19 or newer is needed; this is ${process.version} (${process.execPath}).`, 1);
}

/** The npm that runs this script, or the one on the path. @returns {[string, ...string[]]} */
function npmCommand() {
  const path = process.env["npm_execpath"];
  return path !== undefined && basename(path) === "npm-cli.js" ? [process.execPath, path] : ["npm"];
}

/**
 * Installs the dependencies that `package-lock.json` names unless they are there. npm's output goes to standard error.
 * Throws `StepFailed` when npm fails.
 */
export async function ensureInstalled() {
  assertNodeVersion();
  const reason = whyInstall(root);
  if (reason === null) return;
  process.stderr.write(`Installing the dependencies with npm ci (${reason}) …\n`);
  const [command, ...before] = npmCommand();
  const args = [...before, "ci", "--no-audit", "--no-fund", "--include=dev", "--include=optional"];
  const code = await run(command, [...args, "--prefix", root], { quiet: true }).catch((error) => {
    throw new StepFailed(`npm could not be started: ${error.message}. Is npm on the PATH?`, 1);
  });
  if (code !== 0) {
    throw new StepFailed(
      `The installation failed: npm ci ended with code ${code}; what it said is above. Mend that and run this again.`,
      code,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    await ensureInstalled();
    return 0;
  });
}
