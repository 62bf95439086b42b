import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificates } from "./certificates.mjs";
import { runCommand } from "./command.mjs";
import { isAlive, readProcess, startProcess, stopProcess } from "./owned-process.mjs";
import { freePort } from "./ports.mjs";
import { prepareRegistry, registryAnswers, registryUrl } from "./registry-server.mjs";

/** @typedef {import("./registry-server.mjs").RegistrySettings & { user?: string, password?: string }} Settings */

const PROCESS = "docker-registry";
const STOP_MS = 5_000;

/** @param {string} folder @returns {Settings} */
function settingsOf(folder) {
  return JSON.parse(readFileSync(join(folder, "settings.json"), "utf8"));
}

/** @param {string} folder @param {Settings} settings */
async function startRegistry(folder, settings) {
  writeFileSync(join(folder, "settings.json"), JSON.stringify(settings), { mode: 0o600 });
  const command = prepareRegistry(folder, settings);
  await startProcess(folder, PROCESS, command, (signal) => registryAnswers(settings, signal));
}

/** @param {string} folder */
async function isUp(folder) {
  const identity = readProcess(folder, PROCESS);
  if (identity === null || !isAlive(identity)) return false;
  return registryAnswers(settingsOf(folder), AbortSignal.timeout(5_000)).catch(() => false);
}

/** @param {string} folder */
async function stop(folder) {
  await stopProcess(folder, PROCESS, STOP_MS);
  rmSync(folder, { recursive: true, force: true });
}

/** An image registry that anybody may use, by plain HTTP. @type {import("./index.mjs").Service} */
export const registryService = {
  name: "registry",
  packages: ["docker-registry"],
  async start(folder) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await startRegistry(folder, { port: await freePort() });
  },
  isUp,
  environment: (folder) => ({ DINP_TEST_REGISTRY: registryUrl(settingsOf(folder)) }),
  stop,
};

/** An image registry with basic authentication and TLS by an authority of its own. @type {import("./index.mjs").Service} */
export const registryTlsService = {
  name: "registry-tls",
  packages: ["apache2-utils", "docker-registry", "openssl"],
  async start(folder) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const user = "tester";
    const password = randomBytes(12).toString("hex");
    const htpasswd = join(folder, "htpasswd");
    const line = await runCommand("htpasswd", ["-niBC", "4", user], { input: `${password}\n` });
    writeFileSync(htpasswd, line, { mode: 0o600 });
    const tls = await makeCertificates(folder);
    await startRegistry(folder, { port: await freePort(), tls, htpasswd, user, password });
  },
  isUp,
  environment: (folder) => {
    const settings = settingsOf(folder);
    return {
      DINP_TEST_REGISTRY_TLS: registryUrl(settings),
      DINP_TEST_REGISTRY_TLS_CA: settings.tls?.ca ?? "",
      DINP_TEST_REGISTRY_TLS_USER: settings.user ?? "",
      DINP_TEST_REGISTRY_TLS_PASSWORD: settings.password ?? "",
    };
  },
  stop,
};
