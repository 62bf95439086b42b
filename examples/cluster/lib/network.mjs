import { existsSync, rmdirSync } from "node:fs";
import { runCommand, tryCommand } from "../../../scripts/lib/services/command.mjs";
import { gateway, nodesOf } from "./plan.mjs";
import { programsOf } from "./programs.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

const NAMESPACES = "/run/netns";

/** @param {Plan} plan */
function bridgeOf({ id }) {
  return `dc${id}`;
}

/** @param {string} words */
function ip(words) {
  return runCommand("ip", words.split(" "));
}

/**
 * Makes the network: a bridge with the addresses of what runs on this machine itself, and for each node a namespace
 * with an address of its own on that bridge.
 *
 * @param {Plan} plan
 */
export async function makeNetwork(plan) {
  const bridge = bridgeOf(plan);
  await ip(`link add name ${bridge} type bridge`);
  const here = programsOf(plan).flatMap(({ node, address }) => (node === null ? [address] : []));
  for (const address of [gateway(plan), ...here]) await ip(`addr add ${address}/24 dev ${bridge}`);
  await ip(`link set ${bridge} up`);
  for (const node of nodesOf(plan)) await connect(node, bridge, gateway(plan));
}

/** @param {import("./plan.mjs").Node} node @param {string} bridge @param {string} router */
async function connect({ namespace, veth, address }, bridge, router) {
  await ip(`netns add ${namespace}`);
  await ip(`link add ${veth} type veth peer name eth0 netns ${namespace}`);
  await ip(`link set ${veth} master ${bridge} up`);
  await ip(`-n ${namespace} addr add ${address}/24 dev eth0`);
  await ip(`-n ${namespace} link set eth0 up`);
  await ip(`-n ${namespace} link set lo up`);
  await ip(`-n ${namespace} route add default via ${router}`);
}

/** Removes the network; what was not made, or is gone, is passed over. @param {Plan} plan */
export async function removeNetwork(plan) {
  for (const { namespace, veth } of nodesOf(plan)) {
    await removeLink(veth);
    if (existsSync(`${NAMESPACES}/${namespace}`)) await ip(`netns delete ${namespace}`);
  }
  await removeLink(bridgeOf(plan));
  if (plan.madeFolders.includes(NAMESPACES)) await removeNamespaceFolder();
}

/** @param {string} name */
async function removeLink(name) {
  if (existsSync(`/sys/class/net/${name}`)) await ip(`link delete ${name}`);
}

/** The first namespace of a machine mounts this folder. Another's may be in it by now. */
async function removeNamespaceFolder() {
  try {
    rmdirSync(NAMESPACES);
  } catch {
    const { code } = await tryCommand("sh", [
      "-c",
      `[ -z "$(ls -A ${NAMESPACES})" ] && umount ${NAMESPACES}`,
    ]);
    if (code === 0) rmdirSync(NAMESPACES);
  }
}
