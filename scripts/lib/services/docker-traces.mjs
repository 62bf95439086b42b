import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { runCommand, tryCommand } from "./command.mjs";

const CGROUPS = "/sys/fs/cgroup";

/** A network device's IPv4 addresses, as iproute2 prints them. @typedef {{ ifname: string, addr_info: readonly { local: string }[] }} Device */

/** @returns {Promise<readonly Device[]>} */
async function devices() {
  return JSON.parse(await runCommand("ip", ["-json", "-4", "address"]));
}

/** The numbers N of the ranges 10.N.0.0/16 that the machine has addresses in or routes to. */
async function usedNetworks() {
  const routes = await runCommand("ip", ["-4", "route"]);
  const addresses = (await devices()).flatMap(({ addr_info }) => addr_info.map(({ local }) => local));
  const found = [...`${routes} ${addresses.join(" ")}`.matchAll(/\b10\.(\d+)\.\d+\.\d+/g)];
  return new Set(found.map(([, octet]) => Number(octet)));
}

/** An N of whose range 10.N.0.0/16 the machine uses nothing. */
export async function freeNetwork() {
  const used = await usedNetworks();
  const free = Array.from({ length: 100 }, (_, index) => 140 + index).filter((octet) => !used.has(octet));
  const network = free[Math.floor(Math.random() * free.length)];
  if (network === undefined) throw new Error("No address range is free below 10.0.0.0/8.");
  return network;
}

/** The names of the bridges that have an address in 10.N.0.0/16. @param {number} network */
export async function bridgesOf(network) {
  const own = (await devices()).filter(({ addr_info }) =>
    addr_info.some(({ local }) => local.startsWith(`10.${network}.`)),
  );
  return own.map(({ ifname }) => ifname);
}

/** @param {readonly string[]} names */
export async function removeBridges(names) {
  for (const name of names) await runCommand("ip", ["link", "delete", name, "type", "bridge"]);
}

/** Removes the sockets that shims (a container's keepers, by containerd) left when they were killed. @param {string} state The state folder of containerd. */
export function removeShimSockets(state) {
  if (!existsSync(state)) return;
  for (const path of readdirSync(state, { recursive: true, encoding: "utf8" })) {
    if (!path.endsWith("/address")) continue;
    const socket = readFileSync(join(state, path), "utf8").replace(/^unix:\/\//, "");
    if (socket.startsWith("/run/containerd/s/")) rmSync(socket, { force: true });
  }
}

/**
 * What is mounted below a folder, the last first.
 *
 * @param {string} folder
 * @returns {readonly { readonly point: string, readonly root: string }[]} `root`: what of its file system, such as `net:[INODE]`
 *   for a network namespace (proc_pid_mountinfo(5)).
 */
export function mountsBelow(folder) {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .map(([, , , root = "", point = ""]) => ({ point: point.replaceAll("\\040", " "), root }))
    .filter(({ point }) => point.startsWith(`${folder}/`))
    .reverse();
}

/** @param {string} point */
export async function unmount(point) {
  const { code } = await tryCommand("umount", [point]);
  if (code !== 0) await tryCommand("umount", ["--lazy", point]);
}

/** Unmounts everything below these folders, innermost first. @param {readonly string[]} folders */
export async function unmountBelow(folders) {
  for (const { point } of folders.flatMap(mountsBelow)) await unmount(point);
}

/** The folders of a cgroup in every hierarchy (one in version 2, one for each controller in version 1). @param {string} name */
function cgroupFolders(name) {
  if (!existsSync(CGROUPS)) return [];
  const hierarchies = readdirSync(CGROUPS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(CGROUPS, entry.name, name));
  return [join(CGROUPS, name), ...hierarchies].filter((path) => existsSync(path));
}

/** A folder and all below it, innermost first. @param {string} folder @returns {string[]} */
function treeOf(folder) {
  const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...children.flatMap((entry) => treeOf(join(folder, entry.name))), folder];
}

/** The names of a cgroup and of all below it. @param {string} name */
export function cgroupsIn(name) {
  return [
    ...new Set(
      cgroupFolders(name)
        .flatMap(treeOf)
        .map((folder) => basename(folder)),
    ),
  ];
}

/** The processes in a cgroup and all below it. @param {string} name */
export function cgroupProcesses(name) {
  const files = cgroupFolders(name)
    .flatMap(treeOf)
    .map((folder) => join(folder, "cgroup.procs"));
  const pids = files
    .filter((file) => existsSync(file))
    .flatMap((file) => readFileSync(file, "utf8").split("\n").filter(Boolean));
  return [...new Set(pids.map(Number))];
}

/** A process that has ended may be counted in its cgroup for a moment longer. */
const CGROUP_BUSY_MS = 10_000;
const LOOK_EVERY_MS = 20;

/** Removes a cgroup whose processes have ended. @param {string} name */
export async function removeCgroups(name) {
  const until = performance.now() + CGROUP_BUSY_MS;
  for (const folder of cgroupFolders(name).flatMap(treeOf)) {
    while (!isRemoved(folder)) {
      if (performance.now() > until)
        throw new Error(`The cgroup ${folder} still has processes that have ended.`);
      await setTimeout(LOOK_EVERY_MS);
    }
  }
}

/** False when it is busy. @param {string} folder */
function isRemoved(folder) {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EBUSY") return false;
    throw error;
  }
}
