import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeCertificates } from "../../../scripts/lib/services/certificates.mjs";
import {
  databaseSettings,
  makeDatabase,
  removeDatabase,
} from "../../../scripts/lib/services/database-service.mjs";
import { mariadbServer, mysqlServer } from "../../../scripts/lib/services/mysql-server.mjs";
import { startProcess, stopProcess } from "../../../scripts/lib/services/owned-process.mjs";
import { postgresServer } from "../../../scripts/lib/services/postgres-server.mjs";
import { redisService } from "../../../scripts/lib/services/redis.mjs";
import {
  prepareRegistry,
  registryAnswers,
  registryUrl,
} from "../../../scripts/lib/services/registry-server.mjs";
import { gateway } from "./plan.mjs";
import { programsOf } from "./programs.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

const REGISTRY = "docker-registry";
const REGISTRY_PORT = 5000;
const STOP_MS = 5_000;

const databases = { postgres: postgresServer, mysql: mysqlServer, mariadb: mariadbServer };

/** The Debian packages of what the platform needs. @param {import("./plan.mjs").StoreName} store */
export function backingPackages(store) {
  return [...databases[store].packages, ...redisService.packages, "docker-registry", "openssl"];
}

/** @param {Plan} plan */
function foldersOf({ folder }) {
  return {
    tls: join(folder, "tls"),
    database: join(folder, "database"),
    redis: join(folder, "redis"),
    registry: join(folder, "registry"),
  };
}

/** An authority, and the certificate that servers and registry share. @param {Plan} plan */
export function certificatesOf(plan) {
  const { tls } = foldersOf(plan);
  return { ca: join(tls, "ca.pem"), certificate: join(tls, "server.pem"), key: join(tls, "server.key") };
}

/** @param {Plan} plan @returns {import("../../../scripts/lib/services/registry-server.mjs").RegistrySettings} */
function registrySettings(plan) {
  return { host: gateway(plan), port: REGISTRY_PORT, tls: certificatesOf(plan) };
}

/** Starts the database, Redis and the image registry, once the network is there. @param {Plan} plan */
export async function startBackingServices(plan) {
  const folders = foldersOf(plan);
  mkdirSync(folders.tls, { recursive: true, mode: 0o700 });
  await makeCertificates(folders.tls, [gateway(plan), ...programsOf(plan).map(({ address }) => address)]);
  await Promise.all([
    makeDatabase(databases[plan.store], folders.database, "dinp"),
    redisService.start(folders.redis),
    startRegistry(plan, folders.registry),
  ]);
}

/** @param {Plan} plan @param {string} folder */
async function startRegistry(plan, folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const settings = registrySettings(plan);
  await startProcess(folder, REGISTRY, prepareRegistry(folder, settings), (signal) =>
    registryAnswers(settings, signal),
  );
}

/** Where they are. @param {Plan} plan */
export function backingUrls(plan) {
  const { database, redis } = foldersOf(plan);
  return {
    database: databases[plan.store].url(databaseSettings(database)),
    redis: redisService.environment(redis)["DINP_TEST_REDIS"] ?? "",
    registry: registryUrl(registrySettings(plan)),
  };
}

/** Stops them and removes all that they have. @param {Plan} plan */
export async function removeBackingServices(plan) {
  const folders = foldersOf(plan);
  await Promise.all([
    removeDatabase(databases[plan.store], folders.database),
    redisService.stop(folders.redis),
    stopProcess(folders.registry, REGISTRY, STOP_MS),
  ]);
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true });
}
