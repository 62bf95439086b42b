import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { DinpError, isDinpError, limits } from "@dinp/core";
import type { IgnoreRules } from "./ignore-rules.js";
import { mapAhead } from "./map-ahead.js";
import { Pace } from "./pace.js";

const DESCRIBED_AHEAD = 16;

/** One path of a folder, as it was when the folder was walked. */
export interface WalkedEntry {
  /** Relative to the folder, with `/` between its names. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink";
  readonly executable: boolean;
  readonly size: number;
  readonly linkTarget: string | null;
  /** To see whether the file was changed or replaced since. */
  readonly identity: string;
}

/** Device, inode, size and change times of a file: differs when it was written to or replaced. */
export function identityOf(stats: Stats): string {
  return [stats.dev, stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join(":");
}

/**
 * Everything under `dir` that the rules leave in: folders before what is in them, names in byte order.
 * Errors: `DINP_INVALID` names the path that cannot be packed (a socket, pipe or device, a name that is not UTF-8, no
 * permission); `DINP_TOO_LARGE` when there are more entries than `limits.imageFilesMax`.
 */
export async function walkDirectory(
  dir: string,
  rules: IgnoreRules,
  signal: AbortSignal | undefined,
): Promise<readonly WalkedEntry[]> {
  const entries: WalkedEntry[] = [];
  const pending: WalkedEntry[] = [];
  const pace = new Pace();
  const enter = async (path: string): Promise<void> => {
    const names = await namesOf(dir, path, rules);
    const found: WalkedEntry[] = [];
    for await (const some of mapAhead(names, DESCRIBED_AHEAD, (name) => describe(dir, name, pace))) {
      if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "Packing the folder was aborted.");
      found.push(...some);
      if (entries.length + pending.length + found.length > limits.imageFilesMax) throw tooMany(dir);
    }
    for (const entry of found.reverse()) pending.push(entry);
  };
  await enter("");
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    entries.push(entry);
    if (entry.type === "directory") await enter(entry.path);
  }
  return entries;
}

async function namesOf(dir: string, path: string, rules: IgnoreRules): Promise<string[]> {
  const found = await readdir(join(dir, path), { withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(path === "" ? dir : path, error);
  });
  return found
    .map((entry) => ({ path: path === "" ? entry.name : `${path}/${entry.name}`, entry }))
    .filter(({ path: child, entry }) => !rules.ignores(child, entry.isDirectory()))
    .map(({ path: child }) => ({ child, key: Buffer.from(child) }))
    .sort((a, b) => Buffer.compare(a.key, b.key))
    .map(({ child }) => child);
}

function describe(dir: string, path: string, pace: Pace): WalkedEntry | Promise<WalkedEntry> {
  if (path.includes("\uFFFD")) {
    throw refused(path, "its name is not valid UTF-8", "Rename it, or list it in .dinpignore.");
  }
  const full = join(dir, path);
  return pace.call(
    () => {
      try {
        const stats = lstatSync(full);
        return entryOf(path, stats, stats.isSymbolicLink() ? readlinkSync(full) : null);
      } catch (error) {
        throw refusalOf(path, error);
      }
    },
    async () => {
      try {
        const stats = await lstat(full);
        return entryOf(path, stats, stats.isSymbolicLink() ? await readlink(full) : null);
      } catch (error) {
        throw refusalOf(path, error);
      }
    },
  );
}

function entryOf(path: string, stats: Stats, linkTarget: string | null): WalkedEntry {
  const common = { path, linkTarget, executable: (stats.mode & 0o111) !== 0, identity: identityOf(stats) };
  if (stats.isFile()) return { ...common, type: "file", size: stats.size };
  if (stats.isDirectory()) return { ...common, type: "directory", size: 0 };
  if (linkTarget !== null) return { ...common, type: "symlink", size: 0 };
  throw refused(path, "it is a socket, pipe or device", "Remove it, or list it in .dinpignore.");
}

function refusalOf(path: string, error: unknown): unknown {
  return isDinpError(error) ? error : unreadable(path, error);
}

function refused(path: string, why: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", `Cannot pack ${JSON.stringify(path)}: ${why}.`, {
    hint,
    details: { path },
  });
}

/** The error for a path that the file system does not let us read. */
export function unreadable(path: string, cause: unknown): DinpError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const why =
    code === "EACCES" || code === "EPERM"
      ? "this user may not read it"
      : code === "ENOENT"
        ? "it disappeared while it was packed"
        : `reading it failed (${code})`;
  return new DinpError("DINP_INVALID", `Cannot pack ${JSON.stringify(path)}: ${why}.`, {
    cause,
    retryable: code === "ENOENT",
    hint:
      code === "ENOENT"
        ? "Wait until nothing writes to the folder, then push again."
        : "Make it readable, or list it in .dinpignore.",
    details: { path },
  });
}

function tooMany(dir: string): DinpError {
  return new DinpError("DINP_TOO_LARGE", `${dir} has more than ${String(limits.imageFilesMax)} entries.`, {
    hint: "Is it the app's own folder? List what the app does not need in .dinpignore.",
  });
}
