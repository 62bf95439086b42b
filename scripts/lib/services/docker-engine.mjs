import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { tryCommand } from "./command.mjs";
import { cgroupProcesses, removeCgroups, removeShimSockets, unmountBelow } from "./docker-traces.mjs";
import { isAlive, killPids, killStrays, readProcess, startProcess, stopProcess } from "./owned-process.mjs";

/**
 * A Docker engine with a containerd of its own, beside any other on the machine: data in its folder, sockets in a folder
 * below /run (their paths must be short), containers in a cgroup of its own.
 *
 * @typedef {{
 *   run: string,
 *   cgroup: string,
 *   entry?: readonly string[],
 *   network: Readonly<Record<string, unknown>>,
 * }} Engine `run`: the folder below /run. `entry`: what its command begins with, such as the way into a network namespace.
 *   `network`: what its configuration says of networks.
 */

export const DOCKER_CLIENT = "/usr/bin/docker";
/** Where `bin` and `sbin` are with the engine's programs: the machine's, unless another version is to be tested. */
const PROGRAMS = process.env["DINP_TEST_DOCKER_PROGRAMS"] ?? "/usr";
const DOCKERD_STOP_MS = 20_000;
const CONTAINERD_STOP_MS = 5_000;
/** Folders outside their own that engines make, innermost first. */
const SHARED_FOLDERS = ["/run/containerd/s", "/run/containerd", "/run/docker/plugins", "/run/docker"];

/** The folders that engines would make, and that are not there yet, innermost first. */
export function sharedFoldersToMake() {
  return SHARED_FOLDERS.filter((path) => !existsSync(path));
}

/** Removes folders that nothing uses any more. @param {readonly string[]} paths Innermost first. */
export function removeSharedFolders(paths) {
  for (const path of paths) {
    try {
      rmdirSync(path);
    } catch {
      // Another engine uses it by now, or it was never made.
    }
  }
}

/** @param {Pick<Engine, "run">} engine */
export function engineSocket({ run }) {
  return join(run, "docker.sock");
}

/** Starts an engine on the data of its folder; resolves when it answers. @param {string} folder @param {Engine} engine */
export async function startEngine(folder, engine) {
  mkdirSync(engine.run, { recursive: true, mode: 0o700 });
  const containerd = await startContainerd(folder, engine);
  await startDockerd(folder, engine, containerd);
}

/**
 * A command of one of the engine's programs, which starts others by their names.
 *
 * @param {string} program @param {readonly string[]} args
 * @returns {[string, ...string[]]}
 */
function programCommand(program, ...args) {
  const path = [join(PROGRAMS, "bin"), join(PROGRAMS, "sbin"), process.env["PATH"]].join(":");
  return ["/usr/bin/env", `PATH=${path}`, join(PROGRAMS, program), ...args];
}

/** The command of an engine with a configuration. @param {string} path @returns {[string, ...string[]]} */
export function engineCommand(path) {
  return programCommand("sbin/dockerd", "--config-file", path);
}

/** @param {string} folder @param {Engine} engine */
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
  const command = programCommand("bin/containerd", "--config", path);
  await startProcess(folder, "containerd", command, async () => existsSync(socket));
  return socket;
}

/** @param {string} folder @param {Engine} engine @param {string} containerd */
async function startDockerd(folder, engine, containerd) {
  const { run, cgroup, network, entry = [] } = engine;
  const config = {
    "data-root": join(folder, "data"),
    "exec-root": join(run, "engine"),
    pidfile: join(run, "docker.pid"),
    hosts: [`unix://${engineSocket(engine)}`],
    containerd,
    "cgroup-parent": `/${cgroup}`,
    "deprecated-key-path": join(folder, "key.json"),
    "shutdown-timeout": 2,
    "log-level": "warn",
    ...network,
  };
  const path = join(folder, "engine.json");
  writeFileSync(path, JSON.stringify(config, null, 2));
  // Of an engine that was killed: its number may be another process's by now, and then this one would not start.
  rmSync(config.pidfile, { force: true });
  const [command = "", ...args] = [...entry, ...engineCommand(path)];
  await startProcess(folder, "dockerd", [command, ...args], (signal) => engineAnswers(engine, signal));
}

/** Whether the engine that was started in a folder runs, and answers. @param {string} folder @param {Pick<Engine, "run">} engine */
export async function isEngineUp(folder, engine) {
  const identity = readProcess(folder, "dockerd");
  if (identity === null || !isAlive(identity)) return false;
  return engineAnswers(engine, AbortSignal.timeout(5_000)).catch(() => false);
}

/** @param {Pick<Engine, "run">} engine @param {AbortSignal} signal @returns {Promise<boolean>} */
function engineAnswers(engine, signal) {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: engineSocket(engine), path: "/_ping", signal, agent: false });
    asked.on("error", reject);
    asked.on("response", (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.end();
  });
}

/** Containers and networks of its own go before the engine: it then takes their rules and devices away itself. @param {Pick<Engine, "run">} engine */
async function removeContents(engine) {
  const docker = (/** @type {readonly string[]} */ ...args) =>
    tryCommand(DOCKER_CLIENT, ["-H", `unix://${engineSocket(engine)}`, ...args], {
      timeoutMs: 60_000,
      env: {},
    });
  const containers = (await docker("ps", "-aq")).output.split(/\s+/).filter(Boolean);
  if (containers.length > 0) await docker("rm", "-f", ...containers);
  const networks = (await docker("network", "ls", "-q", "--filter", "type=custom")).output;
  const ids = networks.split(/\s+/).filter(Boolean);
  if (ids.length > 0) await docker("network", "rm", ...ids);
}

/**
 * Stops whatever of an engine runs, its containers too, and removes what it left outside of its folder but for networks.
 *
 * @param {string} folder
 * @param {Pick<Engine, "run" | "cgroup">} engine
 */
export async function stopEngine(folder, engine) {
  if (await isEngineUp(folder, engine)) await removeContents(engine);
  await stopProcess(folder, "dockerd", DOCKERD_STOP_MS);
  await stopProcess(folder, "containerd", CONTAINERD_STOP_MS);
  await killStrays(folder);
  await killPids(cgroupProcesses(engine.cgroup));
  await unmountBelow([folder, engine.run]);
  await removeCgroups(engine.cgroup);
  removeShimSockets(join(engine.run, "containerd"));
  rmSync(engine.run, { recursive: true, force: true });
}
