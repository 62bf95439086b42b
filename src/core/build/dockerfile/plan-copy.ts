import { plainPath } from "./ignore-file.js";
import { pathPattern } from "./path-pattern.js";
import type { RawInstruction } from "./read-dockerfile.js";
import { refusedAt, shown } from "./refusal.js";

/** An entry of the upload, its path relative to the upload's root. */
export interface ContextEntry {
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink";
  readonly linkTarget: string | null;
}

/** Where the upload's entries go in an image: absolute paths, by those that they have. */
export type CopyPlan = ReadonlyMap<string, readonly string[]>;

const LINKS_MAX = 20;

/**
 * Where what `sources` name goes (Dockerfile reference, "COPY"): of a folder what is in it, of several and into a folder each by its
 * name. A hard link is its file. `DINP_INVALID` for sources that lead outside or name nothing, and several that
 * would be one.
 */
export function planCopy(
  context: ReadonlyMap<string, ContextEntry>,
  copy: {
    readonly instruction: RawInstruction;
    readonly sources: readonly string[];
    /** Absolute. */
    readonly destination: string;
    readonly isFolder: boolean;
  },
): CopyPlan {
  const { instruction, destination } = copy;
  const found = copy.sources.flatMap((source) => entriesOf(context, source, instruction));
  if (found.length > 1 && !copy.isFolder)
    throw refusedAt(
      instruction,
      "several files go into a folder",
      `End the destination with /: ${shown(destination, 80)}/`,
    );
  const plan = new Map<string, string[]>();
  const put = (path: string, target: string): void => {
    const entry = context.get(path);
    const own = entry?.type === "hardlink" ? (entry.linkTarget ?? "") : path;
    const known = plan.get(own) ?? [];
    if (!known.includes(target)) known.push(target);
    plan.set(own, known);
  };
  for (const path of found) {
    const type = context.get(path)?.type ?? "directory";
    if (type !== "directory") {
      put(path, copy.isFolder ? under(destination, path.slice(path.lastIndexOf("/") + 1)) : destination);
      continue;
    }
    const prefix = path === "" ? "" : `${path}/`;
    for (const below of context.keys())
      if (below.startsWith(prefix) && below !== path)
        put(below, under(destination, below.slice(prefix.length)));
  }
  return plan;
}

/** Paths of the upload that a source names; links at its end are followed. */
function entriesOf(
  context: ReadonlyMap<string, ContextEntry>,
  source: string,
  instruction: RawInstruction,
): readonly string[] {
  assertInside(source, instruction);
  const path = plainPath(source);
  if (path === "") return [""];
  const isPattern = /[*?[\\]/.test(path);
  const fits = isPattern ? pathPattern(path, false) : null;
  const candidates = fits === null ? [path] : [...context.keys()].filter(fits);
  const found = candidates.flatMap((each) => followed(context, each));
  if (found.length > 0) return found;
  throw refusedAt(
    instruction,
    `the upload has no ${JSON.stringify(shown(source, 200))}`,
    "Is it in the folder that was pushed, and not left out by .dockerignore or .dinpignore?",
  );
}

function assertInside(source: string, instruction: RawInstruction): void {
  let depth = 0;
  for (const part of source.split("/")) {
    if (part === "..") depth -= 1;
    else if (part !== "" && part !== ".") depth += 1;
    if (depth < 0) {
      const what = `${JSON.stringify(shown(source, 200))} leads out of the upload`;
      throw refusedAt(instruction, what, "Put what is needed into the folder that is pushed.");
    }
  }
}

function followed(context: ReadonlyMap<string, ContextEntry>, path: string): readonly string[] {
  let at = path;
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const entry = context.get(at);
    if (entry === undefined) return [];
    if (entry.type !== "symlink") return [at];
    const folder = at.slice(0, at.lastIndexOf("/") + 1);
    at = plainPath(folder + (entry.linkTarget ?? ""));
    if (at === "") return [""];
  }
  return [];
}

function under(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}
