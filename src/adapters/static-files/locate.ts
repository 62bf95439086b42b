import { constants, type Stats } from "node:fs";
import { open, realpath, type FileHandle } from "node:fs/promises";
import { join, sep } from "node:path";

/** What a path leads to. The caller closes an open file. */
export type Located =
  | { readonly kind: "file"; readonly name: string; readonly handle: FileHandle; readonly stats: Stats }
  /** A folder asked for without the slash at its end. */
  | { readonly kind: "folder" }
  | { readonly kind: "none" }
  | { readonly kind: "invalid" };

const INDEX = "index.html";

/**
 * Finds the file of a request's path (percent-encoded, RFC 3986 section 3.3) below `root`, a real path. Names that begin with a dot
 * are hidden, `.well-known` (RFC 8615) is not; a link counts only if it ends below `root`; a folder gives its `index.html`.
 */
export async function locate(root: string, encodedPath: string): Promise<Located> {
  const segments = decodeSegments(encodedPath);
  if (segments === null) return { kind: "invalid" };
  if (segments.some((name) => name.startsWith(".") && name !== ".well-known")) return { kind: "none" };
  const slash = encodedPath.endsWith("/");
  const found = await openBelow(root, join(root, ...segments));
  if (found === null) return { kind: "none" };
  if (found.stats.isFile() && !slash) return { kind: "file", name: segments.at(-1) ?? "", ...found };
  await found.handle.close();
  if (!found.stats.isDirectory()) return { kind: "none" };
  if (!slash) return { kind: "folder" };
  return openFile(root, join(root, ...segments, INDEX), INDEX);
}

/** The file at a path below `root`, if it is one. */
export async function openFile(root: string, path: string, name: string): Promise<Located> {
  const found = await openBelow(root, path);
  if (found === null) return { kind: "none" };
  if (found.stats.isFile()) return { kind: "file", name, ...found };
  await found.handle.close();
  return { kind: "none" };
}

/** Null for a path that does not decode or says something else to the file system than to a browser. */
function decodeSegments(encodedPath: string): readonly string[] | null {
  const names: string[] = [];
  for (const encoded of encodedPath.split("/")) {
    let name: string;
    try {
      name = decodeURIComponent(encoded);
    } catch {
      return null;
    }
    if (name === ".." || name.includes("/") || name.includes("\0")) return null;
    if (name !== "" && name !== ".") names.push(name);
  }
  return names;
}

async function openBelow(root: string, path: string): Promise<{ handle: FileHandle; stats: Stats } | null> {
  let handle: FileHandle | null = null;
  try {
    const real = await realpath(path);
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) return null;
    // Not blocking: a pipe without a writer must not hold the request. No link at the end: the path is real by now.
    handle = await open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    return { handle, stats: await handle.stat() };
  } catch (error) {
    await handle?.close();
    if (isAbsence(error)) return null;
    throw error;
  }
}

function isAbsence(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return ["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "ENAMETOOLONG", "ENXIO"].some((known) => known === code);
}
