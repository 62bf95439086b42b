import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";

/** How what an image has below `/app` differs from its source; nothing when it is the same. */
export function treeDifferences(source: string, app: string): readonly string[] {
  const expected = describeTree(source, normalised);
  const actual = describeTree(app, (stats) => stats.mode & 0o7777);
  const paths = new Set([...expected.keys(), ...actual.keys()]);
  return [...paths].flatMap((path) => {
    const [was, is] = [expected.get(path), actual.get(path)];
    return was === is ? [] : [`${path === "" ? "app" : path}: ${String(was)} became ${String(is)}`];
  });
}

/** The modes that an image has: 0755 for folders and what anyone may execute, else 0644. */
function normalised(stats: Stats): number {
  if (stats.isSymbolicLink()) return 0o777;
  return stats.isDirectory() || (stats.mode & 0o111) !== 0 ? 0o755 : 0o644;
}

/** Each path below `dir` with its type, mode and content; names of the same file share its first name. */
function describeTree(dir: string, modeOf: (stats: Stats) => number): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const firstNames = new Map<number, string>();
  const visit = (path: string): void => {
    const full = join(dir, path);
    const stats = lstatSync(full);
    const mode = modeOf(stats).toString(8);
    if (stats.isDirectory()) {
      found.set(path, `folder ${mode}`);
      for (const name of readdirSync(full).sort()) visit(join(path, name));
    } else if (stats.isSymbolicLink()) {
      found.set(path, `link ${mode} to ${readlinkSync(full)}`);
    } else {
      const first = firstNames.get(stats.ino) ?? path;
      firstNames.set(stats.ino, first);
      const hash = createHash("sha256").update(readFileSync(full)).digest("hex");
      found.set(path, `file ${mode} ${String(stats.size)} ${hash} same as ${first}`);
    }
  };
  visit("");
  return found;
}
