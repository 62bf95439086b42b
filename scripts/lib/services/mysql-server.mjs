import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { runCommand } from "./command.mjs";
import { fetchMysql, mysqldCommand } from "./mysql-programs.mjs";

/** @typedef {import("./database-service.mjs").DatabaseSettings} DatabaseSettings */

const HANDSHAKE_VERSION = 10;

/**
 * Whether a server of the MySQL protocol greets; it listens only when it is ready.
 *
 * @param {DatabaseSettings} settings
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>}
 */
function greets({ port }, signal) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, signal });
    socket.on("error", reject);
    socket.on("close", () => resolve(false));
    socket.once("data", (data) => {
      resolve(data[4] === HANDSHAKE_VERSION);
      socket.destroy();
    });
  });
}

/** @param {string} folder */
function dataOf(folder) {
  return join(folder, "data");
}

/**
 * Where a server puts its temporary files. In a folder that is shared, it removes those of all others when it starts.
 *
 * @param {string} folder
 */
function temporaryOf(folder) {
  return join(folder, "tmp");
}

/** Statements that a server runs at each start: they make its administrator. @param {string} folder @param {DatabaseSettings} settings */
function writeInitFile(folder, { user, password, database }) {
  const account = `'${user}'@'127.0.0.1'`;
  const lines = [
    `CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY '${password}';`,
    `GRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION;`,
    ...(database === undefined ? [] : [`CREATE DATABASE IF NOT EXISTS ${database};`]),
  ];
  writeFileSync(join(folder, "init.sql"), `${lines.join("\n")}\n`, { mode: 0o600 });
}

/** What both servers are told. @param {string} folder @param {DatabaseSettings} settings */
function serverOptions(folder, { port }) {
  return [
    ...[`--datadir=${dataOf(folder)}`, `--port=${port}`, "--bind-address=127.0.0.1"],
    `--tmpdir=${temporaryOf(folder)}`,
    // Below the data: the path of a socket must be short.
    ...["--socket=server.sock", "--pid-file=server.pid", `--init-file=${join(folder, "init.sql")}`],
    ...["--skip-name-resolve", "--innodb-buffer-pool-size=64M", "--max-connections=200", "--user=root"],
  ];
}

/** @param {DatabaseSettings} settings */
function urlOf({ port, user, password, database = "" }) {
  return `mysql://${user}:${password}@127.0.0.1:${port}/${database}`;
}

/** How Debian's MariaDB is run. @type {import("./database-service.mjs").DatabaseServer} */
export const mariadbServer = {
  name: "mariadb",
  packages: ["mariadb-client-core", "mariadb-server-core"],
  variable: "DINP_TEST_MARIADB",
  stopSignal: "SIGTERM",
  dataOf,
  async prepare(folder, settings) {
    writeInitFile(folder, settings);
    mkdirSync(temporaryOf(folder), { mode: 0o700 });
    await runCommand(
      "mariadb-install-db",
      [
        ...["--no-defaults", `--datadir=${dataOf(folder)}`, `--tmpdir=${temporaryOf(folder)}`, "--user=root"],
        ...["--auth-root-authentication-method=normal", "--skip-test-db"],
      ],
      { timeoutMs: 180_000 },
    );
  },
  command: (folder, settings) => ["mariadbd", "--no-defaults", ...serverOptions(folder, settings)],
  url: urlOf,
  answers: greets,
  remove: async () => {},
};

/** How a MySQL of Oracle's is run, which Debian has in its development version only. @type {import("./database-service.mjs").DatabaseServer} */
export const mysqlServer = {
  name: "mysql",
  packages: ["mmdebstrap"],
  variable: "DINP_TEST_MYSQL",
  stopSignal: "SIGTERM",
  dataOf,
  async prepare(folder, settings) {
    await fetchMysql();
    writeInitFile(folder, settings);
    const data = dataOf(folder);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    mkdirSync(temporaryOf(folder), { mode: 0o700 });
    const [command, ...args] = mysqldCommand([
      "--no-defaults",
      ...["--initialize-insecure", `--datadir=${data}`, `--tmpdir=${temporaryOf(folder)}`, "--user=root"],
    ]);
    await runCommand(command, args, { timeoutMs: 180_000 });
  },
  command: (folder, settings) =>
    mysqldCommand([
      "--no-defaults",
      ...serverOptions(folder, settings),
      ...["--mysqlx=OFF", "--secure-file-priv=NULL"],
    ]),
  url: urlOf,
  answers: greets,
  remove: async () => {},
};
