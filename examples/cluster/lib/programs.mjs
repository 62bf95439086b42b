import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  isAlive,
  readProcess,
  startProcess,
  stopProcess,
} from "../../../scripts/lib/services/owned-process.mjs";
import { addressOf, nodesOf } from "./plan.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

/**
 * One process of the platform. Each has an address of its own, as on a machine of its own, and takes the usual ports.
 *
 * @typedef {{
 *   name: string,
 *   kind: string,
 *   node: import("./plan.mjs").Node | null,
 *   address: string,
 *   flags: readonly string[],
 * }} Program `kind`: the program, such as `dinp-server`. `node`: the node that it is on; null: this machine itself.
 *   `flags`: what the shared configuration does not say.
 */

const dist = fileURLToPath(new URL("../../../dist/bin/", import.meta.url));
const STOP_MS = 15_000;

/** @param {Plan} plan */
export function configPath({ folder }) {
  return join(folder, "dinp.yaml");
}

/** Where `dinp nodes join-token` was written to. @param {Plan} plan */
export function joinTokenPath({ folder }) {
  return join(folder, "join-token");
}

/** Where `dinp routers token` was written to. @param {Plan} plan */
export function routerTokenPath({ folder }) {
  return join(folder, "router-token");
}

/** The programs, in the order in which they are started. To add one to the example, add it here. @param {Plan} plan @returns {readonly Program[]} */
export function programsOf(plan) {
  /** @param {string} name @param {string} kind @param {number} host @param {(address: string) => readonly string[]} flags @returns {Program} */
  const here = (name, kind, host, flags) => {
    const address = addressOf(plan, host);
    return { name, kind, node: null, address, flags: flags(address) };
  };
  /** @param {string} name */
  const named = (name) => ["--id", name, "--data-dir", dataFolder(plan, name)];
  /** @param {string} name @param {number} host */
  const server = (name, host) =>
    here(name, "dinp-server", host, (address) => [
      ...[...named(name), "--listen", `${address}:7080`, "--link-listen", `${address}:7443`],
    ]);
  /** @param {string} name @param {number} host */
  const router = (name, host) =>
    here(name, "dinp-router", host, (address) => [
      ...[...named(name), "--listen", `${address}:8080`, "--token-file", routerTokenPath(plan)],
    ]);
  return [
    ...[server("s1", 11), server("s2", 12)],
    here("b1", "dinp-builder", 31, (address) => [
      ...["--data-dir", dataFolder(plan, "b1"), "--listen", `${address}:7090`],
    ]),
    ...nodesOf(plan).map((node) => agentOn(node, plan)),
    ...[router("r1", 21), router("r2", 22)],
    here("m1", "dinp-hm", 41, () => ["--id", "m1"]),
    here("d1", "dinp-dash", 51, (address) => ["--listen", `${address}:7080`]),
  ];
}

/** @param {import("./plan.mjs").Node} node @param {Plan} plan @returns {Program} */
function agentOn(node, plan) {
  const { name, address, run } = node;
  const flags = [
    ...["--id", name, "--data-dir", dataFolder(plan, name), "--address", address],
    ...["--docker-socket", join(run, "docker.sock"), "--join-token-file", joinTokenPath(plan)],
  ];
  return { name, kind: "dinp-agent", node, address, flags };
}

/** @param {Plan} plan @param {string} name */
function dataFolder({ folder }, name) {
  return join(folder, name, "data");
}

/** The programs of a kind. @param {Plan} plan @param {string} kind */
export function programsOfKind(plan, kind) {
  return programsOf(plan).filter((program) => program.kind === kind);
}

/** Where a program keeps its data, and its log is. @param {Plan} plan @param {Program} program */
export function programFolder({ folder }, { name }) {
  return join(folder, name);
}

/** Starts a program; resolves when it says that it is ready. @param {Plan} plan @param {Program} program */
export async function startProgram(plan, program) {
  const { name, kind, node, address, flags } = program;
  const folder = programFolder(plan, program);
  const entry = node === null ? [] : ["nsenter", `--net=/run/netns/${node.namespace}`];
  const [command = "", ...args] = [
    ...[...entry, process.execPath, join(dist, `${kind}.js`), "--config", configPath(plan)],
    ...["--observe-listen", `${address}:9080`, ...flags],
  ];
  await startProcess(folder, name, [command, ...args], (signal) => isReady(program, signal));
}

/** Whether a program says that it can work. @param {Program} program @param {AbortSignal} signal */
async function isReady({ address }, signal) {
  const answer = await fetch(`http://${address}:9080/readyz`, { signal });
  await answer.arrayBuffer();
  return answer.ok;
}

/** How a program is, for people. @param {Plan} plan @param {Program} program @returns {Promise<"ready" | "runs, not ready" | "down">} */
export async function stateOf(plan, program) {
  const identity = readProcess(programFolder(plan, program), program.name);
  if (identity === null || !isAlive(identity)) return "down";
  return (await isReady(program, AbortSignal.timeout(5_000)).catch(() => false))
    ? "ready"
    : "runs, not ready";
}

/** @param {Plan} plan @param {Program} program */
export async function stopProgram(plan, program) {
  await stopProcess(programFolder(plan, program), program.name, STOP_MS);
}
