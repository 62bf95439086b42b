import { matchesGlob, parseGlob, type GlobToken } from "./glob.js";

interface Rule {
  readonly glob: readonly GlobToken[];
  /** Whether the pattern is for a name anywhere, not for a path from the root. */
  readonly matchesName: boolean;
  readonly ignores: boolean;
  readonly directoriesOnly: boolean;
}

/** Never part of an app: version control's and the platform's own folders. */
export const defaultIgnorePatterns: readonly string[] = Object.freeze([".git", ".dinp"]);

const LINES_MAX = 10_000;
const LINE_CHARACTERS_MAX = 1_000;

/**
 * Which paths of a folder stay out of its archive: patterns as in `.gitignore`, one a line.
 *
 * `#` begins a comment, `!` takes an earlier match back, a trailing `/` matches folders only, a `/` elsewhere ties the
 * pattern to the root, `*` and `?` stay within a name, `**` crosses folders. The last pattern that matches decides; what
 * is inside an ignored folder cannot be taken back.
 */
export class IgnoreRules {
  readonly #rules: readonly Rule[];

  constructor(lines: readonly string[]) {
    this.#rules = lines.slice(0, LINES_MAX).flatMap((line) => {
      const rule = parseLine(line.slice(0, LINE_CHARACTERS_MAX));
      return rule === null ? [] : [rule];
    });
  }

  /** `path` is relative to the root, with `/` between its names. */
  ignores(path: string, isDirectory: boolean): boolean {
    const name = path.slice(path.lastIndexOf("/") + 1);
    let ignored = false;
    for (const rule of this.#rules) {
      if (rule.ignores === ignored || (rule.directoriesOnly && !isDirectory)) continue;
      if (matchesGlob(rule.glob, rule.matchesName ? name : path)) ignored = rule.ignores;
    }
    return ignored;
  }
}

function parseLine(line: string): Rule | null {
  let pattern = line.replace(/\r$/, "").replace(/(?<!\\)[ \t]+$/, "");
  if (pattern === "" || pattern.startsWith("#")) return null;
  const ignores = !pattern.startsWith("!");
  if (!ignores) pattern = pattern.slice(1);
  const directoriesOnly = pattern.endsWith("/");
  if (directoriesOnly) pattern = pattern.slice(0, -1);
  const matchesName = !pattern.includes("/");
  if (pattern.startsWith("/")) pattern = pattern.slice(1);
  if (pattern === "") return null;
  return { glob: parseGlob(pattern), matchesName, ignores, directoriesOnly };
}
