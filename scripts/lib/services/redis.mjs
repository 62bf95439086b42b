import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, readProcess, startProcess, stopProcess } from "./owned-process.mjs";
import { freePort } from "./ports.mjs";
import { prepareRedis, redisAnswers, redisUrl } from "./redis-server.mjs";

/** @typedef {import("./redis-server.mjs").RedisSettings} Settings */

const PROCESS = "redis";
const STOP_MS = 5_000;

/** @param {string} folder @returns {Settings} */
function settingsOf(folder) {
  return JSON.parse(readFileSync(join(folder, "settings.json"), "utf8"));
}

/** A Redis without a password, which keeps nothing on disk. @type {import("./index.mjs").Service} */
export const redisService = {
  name: "redis",
  packages: ["redis-server"],
  async start(folder) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const settings = { port: await freePort() };
    writeFileSync(join(folder, "settings.json"), JSON.stringify(settings), { mode: 0o600 });
    const command = prepareRedis(folder, settings);
    await startProcess(folder, PROCESS, command, (signal) => redisAnswers(settings, signal));
  },
  async isUp(folder) {
    const identity = readProcess(folder, PROCESS);
    if (identity === null || !isAlive(identity)) return false;
    return redisAnswers(settingsOf(folder), AbortSignal.timeout(5_000)).catch(() => false);
  },
  environment: (folder) => ({ DINP_TEST_REDIS: redisUrl(settingsOf(folder)) }),
  async stop(folder) {
    await stopProcess(folder, PROCESS, STOP_MS);
    rmSync(folder, { recursive: true, force: true });
  },
};
