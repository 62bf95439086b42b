import { existsSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { StepFailed } from "../step.mjs";
import { tryCommand } from "./command.mjs";

const POLICY = "/usr/sbin/policy-rc.d";

/** @param {string} name */
async function isInstalled(name) {
  const { code, output } = await tryCommand("dpkg-query", ["-W", "-f", "${db:Status-Status}", name]);
  return code === 0 && output.trim() === "installed";
}

/**
 * Installs the Debian packages that are missing. None of them starts a service of its own: what runs is started here.
 *
 * @param {readonly string[]} names
 */
export async function ensurePackages(names) {
  const wanted = [...new Set(names)].sort();
  const states = await Promise.all(wanted.map(isInstalled));
  const missing = wanted.filter((_, index) => states[index] !== true);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new StepFailed(`Needs root to install and run: ${missing.join(" ")}.`, 1);
  }
  process.stderr.write(`Installing ${missing.join(" ")} …\n`);
  await apt(["update", "-qq"]);
  await withoutServiceStarts(() => apt(["install", "-y", "-qq", "--no-install-recommends", ...missing]));
}

/** @param {readonly string[]} args */
async function apt(args) {
  const { code, output } = await tryCommand("apt-get", ["-o", "DPkg::Lock::Timeout=300", ...args], {
    timeoutMs: 600_000,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (code !== 0) throw new StepFailed(`apt-get ${args.join(" ")} failed:\n${output.slice(-2_000)}`, 1);
}

/**
 * Debian's packages start their services when they are installed, unless a policy says no.
 *
 * @param {() => Promise<void>} install
 */
async function withoutServiceStarts(install) {
  if (existsSync(POLICY)) return install();
  writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    await install();
  } finally {
    rmSync(POLICY, { force: true });
  }
}
