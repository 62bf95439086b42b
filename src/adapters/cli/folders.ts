import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Environment } from "./terminal.js";

/** The data folder of `dinp up`: `/var/lib/dinp` for root, `$XDG_DATA_HOME/dinp` or `~/.local/share/dinp` for others. */
export function defaultDataFolder(env: Environment): string {
  if (process.getuid?.() === 0) return "/var/lib/dinp";
  const configured = env["XDG_DATA_HOME"] ?? "";
  return join(configured === "" ? join(homedir(), ".local", "share") : configured, "dinp");
}

/**
 * Makes a folder, and those above it, unless it is there; `mode` is that of each one that is made. Each by itself: Node's
 * own recursion never ends where none can be made, as below /proc.
 */
export async function makeFolder(path: string, mode?: number): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (hasCode(error, "EEXIST")) return;
    if (!hasCode(error, "ENOENT") || dirname(path) === path) throw error;
    await makeFolder(dirname(path), mode);
    await mkdir(path, mode).catch((again: unknown) => {
      if (!hasCode(again, "EEXIST")) throw again;
    });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
