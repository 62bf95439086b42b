import { createHash } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { runCommand, tryCommand } from "./command.mjs";

/** @typedef {import("./database-service.mjs").DatabaseSettings} DatabaseSettings */

const HOME = "/usr/lib/postgresql";
const OWNER = "postgres";

/** Where the programs of the newest PostgreSQL on this machine are. */
function programs() {
  const versions = existsSync(HOME) ? readdirSync(HOME).map(Number).filter(Number.isFinite) : [];
  if (versions.length === 0) throw new Error(`There is no PostgreSQL below ${HOME}.`);
  return join(HOME, String(Math.max(...versions)), "bin");
}

/** PostgreSQL does not run as root. */
function isRoot() {
  return process.getuid?.() === 0;
}

/** Its data: outside a folder of root's, which PostgreSQL's own user could not enter. @param {string} folder */
function dataOf(folder) {
  if (!isRoot()) return join(folder, "data");
  return join(tmpdir(), `dinp-postgres-${createHash("sha256").update(folder).digest("hex").slice(0, 12)}`);
}

/** The administrator's password while the data are made. @param {string} folder */
function passwordFileOf(folder) {
  return `${dataOf(folder)}.password`;
}

/** @param {readonly [string, ...string[]]} command @returns {[string, ...string[]]} */
function asOwner(command) {
  if (!isRoot()) return [...command];
  return ["/usr/bin/setpriv", `--reuid=${OWNER}`, `--regid=${OWNER}`, "--clear-groups", ...command];
}

/** @param {string} path */
async function giveToOwner(path) {
  if (!isRoot()) return;
  const id = async (/** @type {string} */ flag) => Number(await runCommand("id", [flag, OWNER]));
  chownSync(path, await id("-u"), await id("-g"));
}

/** Removes the shared memory that a server left which was killed. @param {string} data */
async function removeSharedMemory(data) {
  const path = join(data, "postmaster.pid");
  if (!existsSync(path)) return;
  const [, segment] = (readFileSync(path, "utf8").split("\n")[6] ?? "").trim().split(/\s+/);
  if (segment !== undefined) await tryCommand("ipcrm", ["-m", segment]);
}

/** How Debian's PostgreSQL is run: passwords by SCRAM, on 127.0.0.1 alone. @type {import("./database-service.mjs").DatabaseServer} */
export const postgresServer = {
  name: "postgres",
  packages: ["postgresql"],
  variable: "DINP_TEST_POSTGRES",
  stopSignal: "SIGINT",
  dataOf,
  async prepare(folder, { user, password }) {
    const data = dataOf(folder);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    await giveToOwner(data);
    const passwordFile = passwordFileOf(folder);
    writeFileSync(passwordFile, password, { mode: 0o600 });
    await giveToOwner(passwordFile);
    const [command, ...args] = asOwner([
      join(programs(), "initdb"),
      ...["-D", data, "-U", user, "--pwfile", passwordFile],
      ...["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
    ]);
    try {
      await runCommand(command, args, { timeoutMs: 180_000 });
    } finally {
      rmSync(passwordFile, { force: true });
    }
  },
  command: (folder, { port }) =>
    asOwner([
      join(programs(), "postgres"),
      ...["-D", dataOf(folder), "-p", String(port)],
      ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
      ...["-c", "shared_buffers=32MB", "-c", "max_connections=200", "-c", "logging_collector=off"],
    ]),
  url: ({ port, user, password }) => `postgres://${user}:${password}@127.0.0.1:${port}/postgres`,
  async answers({ port }) {
    const args = ["-q", "-h", "127.0.0.1", "-p", String(port), "-t", "2"];
    return (await tryCommand(join(programs(), "pg_isready"), args)).code === 0;
  },
  async remove(folder) {
    await removeSharedMemory(dataOf(folder));
    rmSync(dataOf(folder), { recursive: true, force: true });
    rmSync(passwordFileOf(folder), { force: true });
  },
};
