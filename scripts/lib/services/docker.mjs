import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand, tryCommand } from "./command.mjs";
import {
  DOCKER_CLIENT,
  engineSocket,
  isEngineUp,
  removeSharedFolders,
  sharedFoldersToMake,
  startEngine,
  stopEngine,
} from "./docker-engine.mjs";
import { bridgesOf, freeNetwork, removeBridges } from "./docker-traces.mjs";
import { hasDockerChains, isOtherEngineHere, removeChains, removeRules } from "./firewall.mjs";

/**
 * An engine in the machine's own network: a bridge and an address range that nothing else uses. IP forwarding stays as it
 * is, so containers reach the machine and each other, not the outside.
 *
 * @typedef {{
 *   run: string,
 *   bridge: string,
 *   cgroup: string,
 *   network: number,
 *   hasFirewall: boolean,
 *   madeChains: boolean,
 *   madeFolders: readonly string[],
 * }} Settings `network`: addresses are 10.NETWORK.0.0/16. `hasFirewall`: whether it keeps firewall rules. `madeChains`:
 *   whether Docker's chains were not there before. `madeFolders`: shared folders that were not there before.
 */

/** @param {string} folder */
function settingsPath(folder) {
  return join(folder, "settings.json");
}

/** @param {string} folder @returns {Settings | null} */
function readSettings(folder) {
  const path = settingsPath(folder);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
}

/** @param {string} folder @returns {Promise<Settings>} */
async function chooseSettings(folder) {
  const id = createHash("sha256").update(folder).digest("hex").slice(0, 8);
  // An engine that starts empties Docker's chains: those of one that runs are left alone.
  const hasFirewall = !(await isOtherEngineHere(folder));
  const settings = {
    run: `/run/dinp-${id}`,
    bridge: `dinp${id}`,
    cgroup: `dinp-${id}`,
    network: await freeNetwork(),
    hasFirewall,
    madeChains: hasFirewall && !(await hasDockerChains()),
    madeFolders: sharedFoldersToMake(),
  };
  writeFileSync(settingsPath(folder), JSON.stringify(settings), { mode: 0o600 });
  return settings;
}

/** @param {Settings} settings @returns {import("./docker-engine.mjs").Engine} */
function engineOf({ run, cgroup, bridge, network, hasFirewall }) {
  return {
    run,
    cgroup,
    network: {
      bridge,
      "default-address-pools": [{ base: `10.${network}.128.0/17`, size: 24 }],
      iptables: hasFirewall,
      "ip-forward": false,
      "ip-masq": false,
    },
  };
}

/** Removes what an engine that was stopped left of networks. @param {string} folder @param {Settings} settings */
async function removeNetworks(folder, settings) {
  const bridges = await bridgesOf(settings.network);
  if (settings.hasFirewall) await removeRules(bridges, `10.${settings.network}.`);
  await removeBridges(bridges);
  if (settings.madeChains && !(await isOtherEngineHere(folder))) await removeChains();
}

/** A Docker engine. @type {import("./index.mjs").Service} */
export const dockerService = {
  name: "docker",
  packages: ["docker.io", "iproute2", "iptables"],
  async start(folder) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const settings = await chooseSettings(folder);
    // One of that name is left of an engine whose folder was removed under it.
    await tryCommand("ip", ["link", "delete", settings.bridge, "type", "bridge"]);
    await runCommand("ip", ["link", "add", "name", settings.bridge, "type", "bridge"]);
    await runCommand("ip", ["addr", "add", `10.${settings.network}.0.1/24`, "dev", settings.bridge]);
    await runCommand("ip", ["link", "set", settings.bridge, "up"]);
    await startEngine(folder, engineOf(settings));
  },
  async isUp(folder) {
    const settings = readSettings(folder);
    return settings !== null && (await isEngineUp(folder, settings));
  },
  environment(folder) {
    const settings = readSettings(folder);
    if (settings === null) return {};
    return { DINP_TEST_DOCKER_SOCKET: engineSocket(settings), DINP_TEST_DOCKER_CLIENT: DOCKER_CLIENT };
  },
  async stop(folder) {
    const settings = readSettings(folder);
    if (settings !== null) {
      await stopEngine(folder, settings);
      await removeNetworks(folder, settings);
      removeSharedFolders(settings.madeFolders);
    }
    rmSync(folder, { recursive: true, force: true });
  },
};
