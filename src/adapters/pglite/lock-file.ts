import { DinpError } from "@dinp/core";
import { execFile } from "node:child_process";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { lockedError, type FolderLock } from "./locked-error.js";

interface Holder {
  readonly pid: number;
  /** When the process began, as the system says it; empty where it does not say. */
  readonly startedAt: string;
}

const ATTEMPTS_MAX = 5;
const PS_MS_MAX = 5_000;

let counter = 0;

/**
 * Takes a folder by the file `dinp.lock` in it, which names the holder by process id and start time, for systems that
 * have no abstract Unix sockets. Weaker than a lock of the kernel: a stale file is found out only while its process id
 * tells (not across containers or machines that share the folder), and where the system does not say when a process
 * began, a reused process id counts as the holder; then the file must be removed by hand.
 */
export async function acquireLockFile(folder: string): Promise<FolderLock> {
  const path = join(folder, "dinp.lock");
  counter += 1;
  const mine = `${path}.${String(process.pid)}.${String(counter)}`;
  const text = JSON.stringify({ pid: process.pid, startedAt: await startTimeOf(process.pid) });
  await writeFile(mine, text, { mode: 0o600 });
  try {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      if (await tryLink(mine, path)) return { release: () => rm(path, { force: true }) };
      const found = await readIfThere(path);
      if (found === null) continue;
      const holder = parseHolder(found);
      if (holder === null) throw unreadableError(folder, path);
      if (await isAlive(holder)) throw lockedError(folder, holder.pid);
      await removeStale(path, `${mine}.stale`, found);
    }
  } finally {
    await rm(mine, { force: true });
  }
  throw lockedError(folder, null);
}

/** True when `path` did not exist and is now `mine`: a link is made as a whole, with its content. */
async function tryLink(mine: string, path: string): Promise<boolean> {
  try {
    await link(mine, path);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

async function removeStale(path: string, aside: string, stale: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  // Somebody else may have removed the stale file and taken the folder since it was read: give it back.
  if ((await readIfThere(aside)) !== stale) await tryLink(aside, path);
  await rm(aside, { force: true });
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("pid" in value && "startedAt" in value)) return null;
    const { pid, startedAt } = value;
    return typeof pid === "number" && typeof startedAt === "string" ? { pid, startedAt } : null;
  } catch {
    return null;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it is there, and another user's.
    if (!hasCode(error, "EPERM")) return false;
  }
  const startedAt = await startTimeOf(holder.pid);
  return startedAt === "" || holder.startedAt === "" || startedAt === holder.startedAt;
}

async function startTimeOf(pid: number): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)], {
      timeout: PS_MS_MAX,
      env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
    });
    return stdout.trim();
  } catch {
    return "";
  }
}

function unreadableError(folder: string, path: string): DinpError {
  return new DinpError("DINP_LOCKED", `The data folder ${folder} has a lock file that cannot be read.`, {
    hint: `Remove ${path} if no process uses the folder.`,
    details: { folder },
  });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
