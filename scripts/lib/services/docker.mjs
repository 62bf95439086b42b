import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { runCommand, tryCommand } from "./command.mjs";
import {
  bridgesOf,
  cgroupProcesses,
  removeBridges,
  removeCgroups,
  removeShimSockets,
  unmountBelow,
  usedNetworks,
} from "./docker-traces.mjs";
import { hasDockerChains, isOtherEngineHere, removeChains, removeRules } from "./firewall.mjs";
import { isAlive, killPids, killStrays, readProcess, startProcess, stopProcess } from "./owned-process.mjs";

/**
 * A Docker engine with a containerd of its own, beside any other on the machine: data in its folder, sockets in a folder
 * below /run (their paths must be short), a network bridge and an address range that nothing else uses. IP forwarding
 * stays as it is, so containers reach the machine and each other, not the outside.
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

const CLIENT = "/usr/bin/docker";
const DOCKERD_STOP_MS = 20_000;
const CONTAINERD_STOP_MS = 5_000;
/** Folders outside its own that an engine makes, innermost first. */
const SHARED_FOLDERS = ["/run/containerd/s", "/run/containerd", "/run/docker/plugins", "/run/docker"];

/** @param {string} folder */
function settingsPath(folder) {
  return join(folder, "settings.json");
}

/** @param {string} folder @returns {Settings | null} */
function readSettings(folder) {
  const path = settingsPath(folder);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
}

/** @param {Settings} settings */
function socketOf({ run }) {
  return join(run, "docker.sock");
}

/** @param {string} folder @returns {Promise<Settings>} */
async function chooseSettings(folder) {
  const id = createHash("sha256").update(folder).digest("hex").slice(0, 8);
  const used = await usedNetworks();
  const free = Array.from({ length: 100 }, (_, index) => 140 + index).filter((octet) => !used.has(octet));
  const network = free[Math.floor(Math.random() * free.length)];
  if (network === undefined) throw new Error("No address range is free below 10.0.0.0/8.");
  // An engine that starts empties Docker's chains: those of one that runs are left alone.
  const hasFirewall = !(await isOtherEngineHere(folder));
  const settings = {
    run: `/run/dinp-${id}`,
    bridge: `dinp${id}`,
    cgroup: `dinp-${id}`,
    network,
    hasFirewall,
    madeChains: hasFirewall && !(await hasDockerChains()),
    madeFolders: SHARED_FOLDERS.filter((path) => !existsSync(path)),
  };
  writeFileSync(settingsPath(folder), JSON.stringify(settings), { mode: 0o600 });
  return settings;
}

/** @param {string} folder @param {Settings} settings */
async function startContainerd(folder, { run }) {
  const socket = join(run, "containerd.sock");
  const path = join(folder, "containerd.toml");
  const lines = [
    "version = 2",
    `root = ${JSON.stringify(join(folder, "containerd"))}`,
    `state = ${JSON.stringify(join(run, "containerd"))}`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[plugins."io.containerd.internal.v1.opt"]',
    `path = ${JSON.stringify(join(folder, "opt"))}`,
    "[grpc]",
    `address = ${JSON.stringify(socket)}`,
    "[debug]",
    'level = "warn"',
  ];
  writeFileSync(path, `${lines.join("\n")}\n`);
  await startProcess(folder, "containerd", ["/usr/bin/containerd", "--config", path], async () =>
    existsSync(socket),
  );
  return socket;
}

/** @param {string} folder @param {Settings} settings @param {string} containerd */
async function startEngine(folder, settings, containerd) {
  const { run, bridge, cgroup, network, hasFirewall } = settings;
  const config = {
    "data-root": join(folder, "data"),
    "exec-root": join(run, "engine"),
    pidfile: join(run, "docker.pid"),
    hosts: [`unix://${socketOf(settings)}`],
    containerd,
    bridge,
    "cgroup-parent": `/${cgroup}`,
    "default-address-pools": [{ base: `10.${network}.128.0/17`, size: 24 }],
    "deprecated-key-path": join(folder, "key.json"),
    iptables: hasFirewall,
    "ip-forward": false,
    "ip-masq": false,
    "shutdown-timeout": 2,
    "log-level": "warn",
  };
  const path = join(folder, "engine.json");
  writeFileSync(path, JSON.stringify(config, null, 2));
  // Of an engine that was killed: its number may be another process's by now, and then this one would not start.
  rmSync(config.pidfile, { force: true });
  await startProcess(folder, "dockerd", ["/usr/sbin/dockerd", "--config-file", path], (signal) =>
    engineAnswers(settings, signal),
  );
}

/** @param {Settings} settings @param {AbortSignal} signal @returns {Promise<boolean>} */
function engineAnswers(settings, signal) {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: socketOf(settings), path: "/_ping", signal, agent: false });
    asked.on("error", reject);
    asked.on("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.end();
  });
}

/** Containers and networks of its own go before the engine: it then takes their rules and devices away itself. @param {Settings} settings */
async function removeContents(settings) {
  const docker = (/** @type {readonly string[]} */ ...args) =>
    tryCommand(CLIENT, ["-H", `unix://${socketOf(settings)}`, ...args], { timeoutMs: 60_000, env: {} });
  const containers = (await docker("ps", "-aq")).output.split(/\s+/).filter(Boolean);
  if (containers.length > 0) await docker("rm", "-f", ...containers);
  const networks = (await docker("network", "ls", "-q", "--filter", "type=custom")).output;
  const ids = networks.split(/\s+/).filter(Boolean);
  if (ids.length > 0) await docker("network", "rm", ...ids);
}

/** Stops whatever of an engine runs, and removes what it left in the kernel. @param {string} folder @param {Settings} settings */
async function stopEngine(folder, settings) {
  const identity = readProcess(folder, "dockerd");
  const isAnswering =
    identity !== null &&
    isAlive(identity) &&
    (await engineAnswers(settings, AbortSignal.timeout(5_000)).catch(() => false));
  if (isAnswering) await removeContents(settings);
  await stopProcess(folder, "dockerd", DOCKERD_STOP_MS);
  await stopProcess(folder, "containerd", CONTAINERD_STOP_MS);
  await killStrays(folder);
  await killPids(cgroupProcesses(settings.cgroup));
  await unmountBelow([folder, settings.run]);
  const bridges = await bridgesOf(settings.network);
  if (settings.hasFirewall) await removeRules(bridges, `10.${settings.network}.`);
  await removeBridges(bridges);
  if (settings.madeChains && !(await isOtherEngineHere(folder))) await removeChains();
  removeCgroups(settings.cgroup);
  removeShimSockets(join(settings.run, "containerd"));
  for (const path of settings.madeFolders) removeEmptyFolder(path);
  rmSync(settings.run, { recursive: true, force: true });
}

/** @param {string} path */
function removeEmptyFolder(path) {
  try {
    rmdirSync(path);
  } catch {
    // Another engine uses it by now, or it was never made.
  }
}

/** A Docker engine. @type {import("./index.mjs").Service} */
export const dockerService = {
  name: "docker",
  packages: ["docker.io", "iproute2", "iptables"],
  async start(folder) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const settings = await chooseSettings(folder);
    mkdirSync(settings.run, { recursive: true, mode: 0o700 });
    await runCommand("ip", ["link", "add", "name", settings.bridge, "type", "bridge"]);
    await runCommand("ip", ["addr", "add", `10.${settings.network}.0.1/24`, "dev", settings.bridge]);
    await runCommand("ip", ["link", "set", settings.bridge, "up"]);
    const containerd = await startContainerd(folder, settings);
    await startEngine(folder, settings, containerd);
  },
  async isUp(folder) {
    const settings = readSettings(folder);
    const identity = readProcess(folder, "dockerd");
    if (settings === null || identity === null || !isAlive(identity)) return false;
    return engineAnswers(settings, AbortSignal.timeout(5_000)).catch(() => false);
  },
  environment(folder) {
    const settings = readSettings(folder);
    if (settings === null) return {};
    return { DINP_TEST_DOCKER_SOCKET: socketOf(settings), DINP_TEST_DOCKER_CLIENT: CLIENT };
  },
  async stop(folder) {
    const settings = readSettings(folder);
    if (settings !== null) await stopEngine(folder, settings);
    rmSync(folder, { recursive: true, force: true });
  },
};
