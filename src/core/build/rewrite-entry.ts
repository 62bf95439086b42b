import { DinpError } from "../model/errors.js";
import type { ArchiveEntry } from "../ports/archive.js";
import { checkLinkTarget, normalizePath, quote } from "./entry-path.js";

/** An entry without its bytes. */
export type EntryHead = Omit<ArchiveEntry, "content">;

/** The folder of the image in which the app lies, and in which it is started. */
export const appFolder = "app";

/** An entry as the image will have it: its path is relative to the app's folder, its mode 0755 or 0644. */
export interface RewrittenEntry {
  /** `""` is the app's folder itself. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink";
  readonly mode: number;
  readonly size: number;
  /** A symlink's as the archive writes it (it is relative); a hardlink's relative to the app's folder. */
  readonly linkTarget: string | null;
}

/**
 * An archive's entry as it goes into the image's app folder. Setuid, setgid and sticky bits are dropped, modes become
 * 0755 (folders, and files that anyone may execute) or 0644. Names that look like options (`-rf`) or differ only in case
 * are harmless here and stay.
 * `DINP_ARCHIVE_REFUSED` names the entry: absolute and climbing paths, control characters, names that are not UTF-8,
 * links that lead outside, devices, pipes and sparse files.
 */
export function rewriteEntry(entry: EntryHead): RewrittenEntry {
  const checked = normalizePath(entry.path);
  if (!checked.ok) throw refused(entry.path, checked.why);
  const path = checked.value;
  switch (entry.type) {
    case "directory":
      return { path, type: "directory", mode: 0o755, size: 0, linkTarget: null };
    case "file": {
      if (path === "" || entry.path.endsWith("/"))
        throw refused(entry.path, "it is a file with a folder's name");
      const mode = (entry.mode & 0o111) === 0 ? 0o644 : 0o755;
      return { path, type: "file", mode, size: entry.size, linkTarget: null };
    }
    case "symlink": {
      const target = checkLinkTarget(path, entry.linkTarget);
      if (path === "") throw refused(entry.path, "the app's folder cannot be a link");
      if (!target.ok) throw refused(entry.path, target.why);
      return { path, type: "symlink", mode: 0o777, size: 0, linkTarget: target.value };
    }
    case "hardlink": {
      const target = normalizePath(entry.linkTarget ?? "");
      if (path === "") throw refused(entry.path, "the app's folder cannot be a link");
      if (!target.ok) throw refused(entry.path, `its hard link's target is refused: ${target.why}`);
      return { path, type: "hardlink", mode: 0o644, size: 0, linkTarget: target.value };
    }
    case "other":
      throw refused(
        entry.path,
        "it is neither a file, a folder nor a link (a device, pipe, socket or sparse file)",
      );
  }
}

/**
 * The paths that an image has so far. It refuses what would write through a link or over something else, so that an
 * image means the same to every program that unpacks it.
 */
export class AppTree {
  readonly #types = new Map<string, RewrittenEntry["type"]>([["", "directory"]]);
  readonly #executables = new Set<string>();

  /**
   * Takes an entry in. Returns the folders that must come before it in the layer (parents that the archive does not
   * list), outermost first; null when the entry adds nothing (a folder that is there). `DINP_ARCHIVE_REFUSED`: the path
   * is there already, a parent is a link or file, or a hard link's target is no earlier file.
   */
  add(entry: RewrittenEntry): readonly string[] | null {
    const present = this.#types.get(entry.path);
    if (present === "directory" && entry.type === "directory") return null;
    if (present !== undefined) {
      throw refused(entry.path, `the archive has it twice (first as a ${present})`);
    }
    const parents = this.#missingParents(entry.path);
    if (entry.type === "hardlink") this.#assertLinkable(entry);
    for (const parent of parents) this.#types.set(parent, "directory");
    this.#types.set(entry.path, entry.type);
    const executable =
      entry.type === "hardlink" ? this.#executables.has(entry.linkTarget ?? "") : entry.mode === 0o755;
    if (executable && this.isFile(entry.path)) this.#executables.add(entry.path);
    return parents;
  }

  /** Whether the path is a file (not a folder or symbolic link). */
  isFile(path: string): boolean {
    const type = this.#types.get(path);
    return type === "file" || type === "hardlink";
  }

  isExecutable(path: string): boolean {
    return this.#executables.has(path);
  }

  #missingParents(path: string): readonly string[] {
    const missing: string[] = [];
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const parent = path.slice(0, end);
      const type = this.#types.get(parent);
      if (type === "directory") break;
      if (type !== undefined) {
        throw refused(path, `${quote(parent)}, where it lies, is a ${type} in the same archive`);
      }
      missing.push(parent);
    }
    return missing.reverse();
  }

  #assertLinkable(entry: RewrittenEntry): void {
    const target = entry.linkTarget ?? "";
    if (this.isFile(target)) return;
    throw refused(
      entry.path,
      `it is a hard link to ${quote(target)}, which is no earlier file of the archive`,
    );
  }
}

function refused(path: string, why: string): DinpError {
  return new DinpError("DINP_ARCHIVE_REFUSED", `The archive's entry ${quote(path)} is refused: ${why}.`, {
    hint: "Leave it out of the archive (the CLI reads .dinpignore), or replace it.",
    details: { entry: path.slice(0, 1_000) },
  });
}
