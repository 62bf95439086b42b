import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { StepFailed } from "../step.mjs";
import { databaseService } from "./database-service.mjs";
import { dockerService } from "./docker.mjs";
import { withLock } from "./lock.mjs";
import { mariadbServer, mysqlServer } from "./mysql-server.mjs";
import { ensurePackages } from "./packages.mjs";
import { redisService } from "./redis.mjs";
import { postgresServer } from "./postgres-server.mjs";
import { registryService, registryTlsService } from "./registry.mjs";

/**
 * A server that tests need. All state of a running one lies in its own folder, which `stop` removes; so a service can be
 * started in several folders at the same time. To add one: a file beside this one, and its name in the list below.
 *
 * @typedef {{
 *   name: string,
 *   packages: readonly string[],
 *   start: (folder: string) => Promise<void>,
 *   isUp: (folder: string) => Promise<boolean>,
 *   environment: (folder: string) => Record<string, string>,
 *   stop: (folder: string) => Promise<void>,
 * }} Service `start` resolves once the server answers, and rejects with the reason and the end of its log; `isUp` asks
 *   the server; `environment` tells tests where it is; `stop` ends what was started in this folder (also what a start
 *   that failed left) and nothing else, and does nothing when there is nothing.
 */

/** @type {readonly Service[]} */
const services = [
  registryService,
  registryTlsService,
  redisService,
  dockerService,
  databaseService(postgresServer),
  databaseService(mysqlServer),
  databaseService(mariadbServer),
];

const home = join(fileURLToPath(new URL("../../..", import.meta.url)), ".cache/services");

export const serviceNames = services.map(({ name }) => name);

/** @param {Service} service */
function folderOf(service) {
  return join(home, service.name);
}

/** @param {readonly string[]} names */
function chosen(names) {
  return services.filter(({ name }) => names.includes(name));
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * Runs one task for each service, all at the same time, and fails once with all that failed.
 *
 * @param {readonly Service[]} list
 * @param {(service: Service) => Promise<string>} task Resolves to what to say.
 */
async function forEach(list, task) {
  const results = await Promise.allSettled(
    list.map(async (service) => {
      const began = performance.now();
      const text = await task(service);
      say(`${service.name}: ${text} (${((performance.now() - began) / 1_000).toFixed(1)} s)`);
    }),
  );
  const failures = results.flatMap((result, index) =>
    result.status === "fulfilled" ? [] : [`${list[index]?.name ?? ""}: ${messageOf(result.reason)}`],
  );
  if (failures.length > 0) throw new StepFailed(failures.join("\n\n"), 1);
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Installs what is missing and starts the services of these names; those that answer already stay as they are.
 *
 * @param {readonly string[]} names
 */
export async function startServices(names) {
  const list = chosen(names);
  await withLock(home, async () => {
    await ensurePackages(list.flatMap(({ packages }) => packages));
    await forEach(list, async (service) => {
      const folder = folderOf(service);
      if (existsSync(folder) && (await service.isUp(folder))) return "is up already";
      await service.stop(folder);
      try {
        await service.start(folder);
      } catch (error) {
        await service.stop(folder);
        throw error;
      }
      return "up";
    });
  });
}

/**
 * Stops the services of these names and removes every trace of them.
 *
 * @param {readonly string[]} names
 */
export async function stopServices(names) {
  await withLock(home, async () => {
    await forEach(chosen(names), async (service) => {
      if (!existsSync(folderOf(service))) return "was not up";
      await service.stop(folderOf(service));
      return "down";
    });
  });
}

/**
 * What tells tests where the services of these names are, and the names of those that do not answer.
 *
 * @param {readonly string[]} names
 */
export async function environmentOf(names) {
  /** @type {Record<string, string>} */
  const variables = {};
  /** @type {string[]} */
  const missing = [];
  for (const service of chosen(names)) {
    const folder = folderOf(service);
    if (existsSync(folder) && (await service.isUp(folder)))
      Object.assign(variables, service.environment(folder));
    else missing.push(service.name);
  }
  return { variables, missing };
}
