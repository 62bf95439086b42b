import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sharedFoldersToMake } from "../../../scripts/lib/services/docker-engine.mjs";
import { freeNetwork } from "../../../scripts/lib/services/docker-traces.mjs";

/**
 * What a cluster on this machine is made of. It is written down before anything is made, so that all of it can be found
 * again, whenever its making was cut off.
 *
 * @typedef {{
 *   id: string,
 *   folder: string,
 *   store: StoreName,
 *   network: number,
 *   madeFolders: readonly string[],
 * }} Plan `id`: in the names of everything outside of its folder. `network`: its addresses are 10.NETWORK.0.0/16.
 *   `madeFolders`: folders that others use as well, and that were not there before; innermost first.
 */

/** @typedef {"postgres" | "mysql" | "mariadb"} StoreName */

/** @type {readonly StoreName[]} */
export const storeNames = ["postgres", "mysql", "mariadb"];

/** @param {string} name @returns {name is StoreName} */
export function isStoreName(name) {
  return storeNames.some((one) => one === name);
}

const NAMESPACES = "/run/netns";

/** @param {string} folder */
function planPath(folder) {
  return join(folder, "plan.json");
}

/** The plan of the cluster whose data is in this folder; null when there is none. @param {string} folder @returns {Plan | null} */
export function readPlan(folder) {
  const path = planPath(folder);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
}

/** @param {string} folder @param {StoreName} store @returns {Promise<Plan>} */
export async function makePlan(folder, store) {
  const plan = {
    id: createHash("sha256").update(folder).digest("hex").slice(0, 8),
    folder,
    store,
    network: await freeNetwork(),
    madeFolders: [...sharedFoldersToMake(), ...(existsSync(NAMESPACES) ? [] : [NAMESPACES])],
  };
  // Programs that are not root's pass through.
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  writeFileSync(`${planPath(folder)}.new`, JSON.stringify(plan, null, 2));
  renameSync(`${planPath(folder)}.new`, planPath(folder));
  return plan;
}

/** An address of the network that the machines of the cluster share. @param {Plan} plan @param {number} host */
export function addressOf({ network }, host) {
  return `10.${network}.0.${host}`;
}

/** Where the databases' machine would be: what is not a program of the platform. @param {Plan} plan */
export function gateway(plan) {
  return addressOf(plan, 1);
}

/** A node: a network namespace with a Docker engine in it. @typedef {{ name: string, address: string, namespace: string, veth: string, containers: string, run: string, cgroup: string, folder: string }} Node */

const NODES = 3;

/** @param {Plan} plan @returns {readonly Node[]} */
export function nodesOf(plan) {
  const { id, folder, network } = plan;
  return Array.from({ length: NODES }, (_, index) => {
    const name = `n${index + 1}`;
    return {
      name,
      address: addressOf(plan, 101 + index),
      namespace: `dinp-${id}-${name}`,
      veth: `dc${id}${name}`,
      containers: `10.${network}.${16 * (index + 1)}.1/20`,
      run: `/run/dinp-${id}-${name}`,
      cgroup: `dinp-${id}-${name}`,
      folder: join(folder, `engine-${name}`),
    };
  });
}
