import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, killStrays, readProcess, startProcess, stopProcess } from "./owned-process.mjs";
import { freePort } from "./ports.mjs";

/**
 * Where a database server is, and its administrator.
 *
 * @typedef {{ port: number, user: string, password: string, database?: string }} DatabaseSettings `database`: one that is
 *   there from the start, where there is none of the server's own (MySQL, MariaDB).
 */

/**
 * A kind of database server, of which any number can run, each in a folder of its own.
 *
 * @typedef {{
 *   name: import("./variables.mjs").DatabaseName,
 *   packages: readonly string[],
 *   variable: string,
 *   stopSignal: NodeJS.Signals,
 *   dataOf: (folder: string) => string,
 *   prepare: (folder: string, settings: DatabaseSettings) => Promise<void>,
 *   command: (folder: string, settings: DatabaseSettings) => [string, ...string[]],
 *   url: (settings: DatabaseSettings) => string,
 *   answers: (settings: DatabaseSettings, signal: AbortSignal) => Promise<boolean>,
 *   remove: (folder: string) => Promise<void>,
 * }} DatabaseServer `variable`: tells tests its URL. `stopSignal`: ends it in order, whoever is connected. `dataOf`:
 *   where its data are. `prepare` makes them; an empty folder may be there. `remove` takes away what it has outside of its folder.
 */

const STOP_MS = 20_000;

/** @param {string} folder */
function settingsPath(folder) {
  return join(folder, "settings.json");
}

/** @param {string} folder @returns {DatabaseSettings} */
export function databaseSettings(folder) {
  return JSON.parse(readFileSync(settingsPath(folder), "utf8"));
}

/**
 * Makes an empty database server in a folder, and starts it.
 *
 * @param {DatabaseServer} server
 * @param {string} folder
 * @param {string} [database] Of this name, in a server that has none of its own.
 */
export async function makeDatabase(server, folder, database) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const account = { user: "dinp", password: randomBytes(12).toString("hex") };
  const settings = { port: await freePort(), ...account, ...(database === undefined ? {} : { database }) };
  writeFileSync(settingsPath(folder), JSON.stringify(settings), { mode: 0o600 });
  await server.prepare(folder, settings);
  await startDatabase(server, folder);
}

/**
 * Starts the server of a folder, on its data and its port; resolves when it answers.
 *
 * @param {DatabaseServer} server
 * @param {string} folder
 */
export async function startDatabase(server, folder) {
  const settings = databaseSettings(folder);
  const command = server.command(folder, settings);
  await startProcess(folder, server.name, command, (signal) => server.answers(settings, signal));
}

/**
 * Ends the server of a folder, if it runs.
 *
 * @param {DatabaseServer} server
 * @param {string} folder
 */
export async function stopDatabase(server, folder) {
  await stopProcess(folder, server.name, STOP_MS, server.stopSignal);
  await killStrays(folder);
}

/**
 * Ends the server of a folder, if it runs, and removes all that it has.
 *
 * @param {DatabaseServer} server
 * @param {string} folder
 */
export async function removeDatabase(server, folder) {
  await stopDatabase(server, folder);
  await server.remove(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** @param {DatabaseServer} server @returns {import("./index.mjs").Service} */
export function databaseService(server) {
  return {
    name: server.name,
    packages: server.packages,
    start: (folder) => makeDatabase(server, folder),
    async isUp(folder) {
      const identity = readProcess(folder, server.name);
      if (identity === null || !isAlive(identity) || !existsSync(settingsPath(folder))) return false;
      return server.answers(databaseSettings(folder), AbortSignal.timeout(5_000)).catch(() => false);
    },
    environment: (folder) => ({ [server.variable]: server.url(databaseSettings(folder)) }),
    stop: (folder) => removeDatabase(server, folder),
  };
}
