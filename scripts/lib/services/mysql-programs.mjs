import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runCommand } from "./command.mjs";
import { withLock } from "./lock.mjs";

const cache = join(fileURLToPath(new URL("../../..", import.meta.url)), ".cache");
const root = join(cache, "mysql");

/** What `mysqld` needs of the system that it comes from. */
const KEPT = ["usr/lib", "usr/sbin", "usr/share/mysql"];

/**
 * Fetches MySQL with the libraries that it was built for, once: Debian has it in its development version only.
 * It runs by the loader of that version, beside everything else on this machine.
 */
export async function fetchMysql() {
  await withLock(root, async () => {
    if (existsSync(root)) return;
    const whole = `${root}.whole`;
    await removeSystem(whole);
    mkdirSync(cache, { recursive: true });
    process.stderr.write("Fetching MySQL …\n");
    await runCommand(
      "mmdebstrap",
      [
        ...["--variant=minbase", '--aptopt=Acquire::Check-Valid-Until "false"'],
        ...["--include=mysql-server-core", "sid", whole],
      ],
      { timeoutMs: 600_000 },
    );
    const partial = `${root}.partial`;
    rmSync(partial, { recursive: true, force: true });
    for (const path of KEPT) {
      mkdirSync(join(partial, path, ".."), { recursive: true });
      renameSync(join(whole, path), join(partial, path));
    }
    await removeSystem(whole);
    renameSync(partial, root);
  });
}

/**
 * Removes what was made of a system. When that was ended in the middle, folders of this machine may still be mounted there: what is
 * in those stays.
 *
 * @param {string} folder
 */
async function removeSystem(folder) {
  const mounted = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounted.reverse()) await runCommand("umount", ["--lazy", path]);
  await runCommand("rm", ["--recursive", "--force", "--one-file-system", folder], { timeoutMs: 120_000 });
}

/**
 * The command that runs `mysqld`, once it was fetched.
 *
 * @param {readonly [string, ...string[]]} args
 * @returns {[string, ...string[]]}
 */
export function mysqldCommand(args) {
  const [first, ...rest] = args;
  const [libraries, loader] =
    process.arch === "arm64"
      ? ["usr/lib/aarch64-linux-gnu", "ld-linux-aarch64.so.1"]
      : ["usr/lib/x86_64-linux-gnu", "ld-linux-x86-64.so.2"];
  return [
    join(root, libraries, loader),
    ...["--library-path", join(root, libraries)],
    ...[join(root, "usr/sbin/mysqld"), first],
    ...[`--basedir=${join(root, "usr")}`, `--lc-messages-dir=${join(root, "usr/share/mysql")}`, ...rest],
  ];
}
