import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

/** Compressed one by one, files take some more than in one stream: this gives an archive of 50 MB. */
const PACKED_ONE_BY_ONE_BYTES = 54_000_000;

export interface SourceTree {
  readonly dir: string;
  /** The tree as a `.tar.gz`. */
  readonly archive: string;
  readonly files: number;
  /** Of the files. */
  readonly bytes: number;
  readonly archiveBytes: number;
}

/**
 * A Node application below `folder`: the files of `modules` in the order of their paths until they make an archive of
 * 50 MB, and a few entries of every other kind. The same modules give the same archive; GNU tar and gzip pack it.
 */
export function makeSourceTree(folder: string, modules: string): SourceTree {
  const dir = join(folder, "source");
  mkdirSync(dir);
  writeFileSync(join(dir, "package.json"), '{"scripts":{"start":"node server.js"}}\n');
  writeFileSync(join(dir, "server.js"), "require('node:http').createServer().listen(process.env.PORT);\n");
  writeUnusualEntries(dir);
  const copied = copyModules(modules, join(dir, "node_modules"));
  const archive = join(folder, "source.tar.gz");
  packTree(dir, archive);
  return { dir, archive, ...copied, archiveBytes: statSync(archive).size };
}

/** Packs the folder with GNU tar and gzip; the same files give the same bytes. */
export function packTree(dir: string, archive: string): void {
  const deterministic = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  execFileSync("tar", [...deterministic, "-I", "gzip -6 -n", "-cf", archive, "-C", dir, "."]);
}

function writeUnusualEntries(dir: string): void {
  const unusual = join(dir, "unusual");
  const deep = join(unusual, "folder-with-a-long-name/".repeat(9), "x".repeat(150));
  mkdirSync(deep, { recursive: true });
  mkdirSync(join(unusual, "empty-folder"));
  writeFileSync(join(deep, `${"y".repeat(200)}.txt`), "a path that ustar has no room for\n");
  writeFileSync(join(unusual, "Straße ☃ -rf $(x).txt"), "");
  writeFileSync(join(unusual, "private"), "mode 0600", { mode: 0o600 });
  writeFileSync(join(unusual, "tool"), "#!/bin/sh\n");
  chmodSync(join(unusual, "tool"), 0o4750);
  linkSync(join(unusual, "tool"), join(unusual, "tool-again"));
  symlinkSync("../package.json", join(unusual, "link"));
  symlinkSync("nothing", join(unusual, "dangling"));
}

/** Copies files until they make an archive of the wanted size. */
function copyModules(from: string, to: string): { readonly files: number; readonly bytes: number } {
  let [files, bytes, packed] = [0, 0, 0];
  const visit = (path: string): void => {
    if (packed >= PACKED_ONE_BY_ONE_BYTES) return;
    const source = join(from, path);
    const stats = lstatSync(source);
    if (stats.isDirectory()) {
      for (const name of readdirSync(source).sort()) {
        // Caches change from run to run.
        if (path !== "" || !name.startsWith(".") || name === ".bin") visit(join(path, name));
      }
      return;
    }
    mkdirSync(dirname(join(to, path)), { recursive: true });
    if (stats.isSymbolicLink()) symlinkSync(readlinkSync(source), join(to, path));
    if (!stats.isFile()) return;
    copyFileSync(source, join(to, path));
    files += 1;
    bytes += stats.size;
    packed += Math.min(gzipSync(readFileSync(source)).length, stats.size);
  };
  visit("");
  return { files, bytes };
}
