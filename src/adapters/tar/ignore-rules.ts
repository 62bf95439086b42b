interface Rule {
  readonly expression: RegExp;
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
    let ignored = false;
    for (const rule of this.#rules) {
      if (rule.ignores === ignored || (rule.directoriesOnly && !isDirectory)) continue;
      if (rule.expression.test(path)) ignored = rule.ignores;
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
  const anchored = pattern.includes("/");
  if (pattern.startsWith("/")) pattern = pattern.slice(1);
  if (pattern === "") return null;
  const expression = new RegExp(`^${anchored ? "" : "(?:.*/)?"}${translate(pattern)}$`, "su");
  return { expression, ignores, directoriesOnly };
}

function translate(pattern: string): string {
  let expression = "";
  // Runs of stars are one: a pattern of many would make the expression backtrack for ever.
  const tokens = pattern.matchAll(/\*\*\/(?:\*\*\/)*|\*+|\?|\\.|[^*?\\]|\\/gsu);
  for (const [token] of tokens) {
    if (token.startsWith("**/")) expression += "(?:.*/)?";
    else if (token.startsWith("**")) expression += ".*";
    else if (token === "*") expression += "[^/]*";
    else if (token === "?") expression += "[^/]";
    else expression += escape(token.length > 1 && token.startsWith("\\") ? token.slice(1) : token);
  }
  return expression;
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/gu, "\\$&");
}
