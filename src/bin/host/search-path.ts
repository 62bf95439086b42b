/** Where interpreters are looked for: this process's own path, without what npm puts before it for its scripts. */
export function searchPathOf(path: string): readonly string[] {
  return path.split(":").filter((folder) => folder.startsWith("/") && !folder.includes("/node_modules/"));
}
