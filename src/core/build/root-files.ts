import { DinpError } from "../model/errors.js";
import type { RewrittenEntry } from "./rewrite-entry.js";

/** Files at an app's root that the builder reads as they pass, and the most bytes that each may have. */
const READ_AT_ROOT: ReadonlyMap<string, number> = new Map([
  ["dinp.yaml", 64 * 1024],
  ["Procfile", 64 * 1024],
  ["package.json", 1024 * 1024],
]);

/**
 * Whether the builder reads this entry's text. `DINP_INVALID` when it is one of those files but too large or a link, or
 * when it is a `dinp.yml`, which would be overlooked.
 */
export function isReadAtRoot(entry: RewrittenEntry): boolean {
  if (entry.path === "dinp.yml") {
    throw invalid("dinp.yml", "the manifest's name is dinp.yaml", "Rename it to dinp.yaml.");
  }
  const max = READ_AT_ROOT.get(entry.path);
  if (max === undefined || entry.type === "directory") return false;
  if (entry.type !== "file") {
    throw invalid(entry.path, "it is a link", "Put the file itself at the app's root.");
  }
  if (entry.size <= max) return true;
  throw invalid(
    entry.path,
    `it has ${String(entry.size)} bytes; ${String(max)} are allowed`,
    "Make it smaller.",
  );
}

/** The text of one of those files; `DINP_INVALID` unless it is UTF-8. */
export function decodeRootFile(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid(path, "it is not UTF-8 text", "Save it as UTF-8.", cause);
  }
}

function invalid(path: string, why: string, hint: string, cause?: unknown): DinpError {
  const details = { entry: path };
  return new DinpError("DINP_INVALID", `${path} cannot be read: ${why}.`, { hint, details, cause });
}
