import type { AppFiles } from "./choose-command.js";

/** Whether a name is like a pattern, in which one `*` may stand for any run of characters. */
export function matchesPattern(pattern: string, name: string): boolean {
  const star = pattern.indexOf("*");
  if (star === -1) return pattern === name;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail);
}

/** Whether the app has what the pattern says: a name at its root (a file or folder), or with `/` the path of a file. */
export function isThere(pattern: string, files: Pick<AppFiles, "rootNames" | "hasFile">): boolean {
  if (pattern.includes("/")) return files.hasFile(pattern);
  if (!pattern.includes("*")) return files.rootNames.has(pattern);
  return [...files.rootNames].some((name) => matchesPattern(pattern, name));
}

/** The files of the app that a pattern fits, in byte order; without `*` at most the one at that path. */
export function filesLike(
  pattern: string,
  files: Pick<AppFiles, "rootNames" | "hasFile">,
): readonly string[] {
  if (!pattern.includes("*")) return files.hasFile(pattern) ? [pattern] : [];
  return [...files.rootNames].filter((name) => matchesPattern(pattern, name) && files.hasFile(name)).sort();
}
