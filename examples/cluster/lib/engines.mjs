import { mkdirSync } from "node:fs";
import { isEngineUp, startEngine, stopEngine } from "../../../scripts/lib/services/docker-engine.mjs";

/** @typedef {import("./plan.mjs").Node} Node */

export const enginePackages = ["docker.io", "iproute2", "iptables"];

/** A node's engine: its bridge and its firewall rules are in the node's own network namespace, and go with it. @param {Node} node @returns {import("../../../scripts/lib/services/docker-engine.mjs").Engine} */
function engineOf({ namespace, run, cgroup, containers }) {
  return {
    run,
    cgroup,
    entry: ["nsenter", `--net=/run/netns/${namespace}`],
    network: { bip: containers },
  };
}

/** Starts the Docker engine of a node. @param {Node} node */
export async function startNodeEngine(node) {
  mkdirSync(node.folder, { recursive: true, mode: 0o711 });
  await startEngine(node.folder, engineOf(node));
}

/** @param {Node} node */
export function isNodeEngineUp(node) {
  return isEngineUp(node.folder, node);
}

/** @param {Node} node */
export function stopNodeEngine(node) {
  return stopEngine(node.folder, node);
}
