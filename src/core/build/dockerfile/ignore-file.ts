import { DinpError } from "../../model/errors.js";
import { pathPattern, type PathPattern } from "./path-pattern.js";
import { shown } from "./refusal.js";

interface Rule {
  readonly fits: PathPattern;
  readonly isBack: boolean;
}

const RULES_MAX = 1_000;

/**
 * What a `.dockerignore` leaves out: the last rule that fits a path, or a folder that it is in, decides; `!` takes back.
 * `DINP_INVALID` names the line of a pattern that is none.
 */
export function ignoreRules(text: string): (path: string) => boolean {
  const rules: Rule[] = [];
  for (const [index, whole] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    if (whole.startsWith("#") || whole.trim() === "") continue;
    const isBack = whole.trim().startsWith("!");
    const pattern = plainPath(
      whole
        .trim()
        .slice(isBack ? 1 : 0)
        .trim(),
    );
    if (pattern === "") continue;
    const fits = pathPattern(pattern, true);
    if (fits === null || rules.length === RULES_MAX) {
      const why =
        fits === null
          ? `${JSON.stringify(shown(whole, 80))} is no pattern`
          : `it has more than ${String(RULES_MAX)} rules`;
      throw new DinpError("DINP_INVALID", `.dockerignore line ${String(index + 1)}: ${why}.`, {
        hint: "Write paths with *, ? and ** in them, one a line.",
        details: { field: ".dockerignore", line: index + 1 },
      });
    }
    rules.push({ fits, isBack });
  }
  return (path) => {
    const parts = path.split("/");
    const paths = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    let isLeftOut = false;
    for (const { fits, isBack } of rules) if (isLeftOut === isBack && paths.some(fits)) isLeftOut = !isBack;
    return isLeftOut;
  };
}

/** Relative to the root, without `.` and doubled slashes; `..` does not lead out of it. */
export function plainPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
