import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readImage, type ImageRef } from "@dinp/core";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";

/**
 * How an image read back from its registry differs from its source, path by path, mode by mode, byte by byte; nothing
 * when it is the same. GNU tar unpacks the layers, so that the platform's own reader is not its own witness.
 */
export async function differences(
  source: string,
  registryDir: string,
  image: ImageRef,
  into: string,
): Promise<readonly string[]> {
  const root = join(into, "root");
  mkdirSync(root, { recursive: true });
  const registry = createOciLayoutRegistry({ dir: registryDir });
  const { layers } = await readImage(registry, image);
  const outside: string[] = [];
  for (const { digest, mediaType } of layers) {
    const file = join(into, "layer.tar");
    await pipeline(registry.readBlob(image.repository, digest), createWriteStream(file));
    const how = mediaType.endsWith("+gzip") ? ["-z"] : [];
    const names = execFileSync("tar", [...how, "-tPf", file, "--quoting-style=literal"], {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    for (const name of names.split("\n").slice(0, -1)) {
      if (name !== "app/" && !name.startsWith("app/")) outside.push(`${name} lies outside of app`);
      if (name.split("/").includes("..")) outside.push(`${name} climbs`);
    }
    execFileSync("tar", [...how, "-xpf", file, "-C", root]);
  }
  return [...outside, ...treeDifferences(source, join(root, "app"))];
}

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
