import { rmSync } from "node:fs";
import process from "node:process";
import { withLock } from "../../../scripts/lib/services/lock.mjs";
import { removeSharedFolders } from "../../../scripts/lib/services/docker-engine.mjs";
import { killStrays, stopProcess } from "../../../scripts/lib/services/owned-process.mjs";
import { removeBackingServices } from "./backing-services.mjs";
import { stopNodeEngine } from "./engines.mjs";
import { removeNetwork } from "./network.mjs";
import { nodesOf, readPlan } from "./plan.mjs";
import { programFolder, programsOf, stopProgram } from "./programs.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

/** The name by which "up" notes its own process. */
export const UP = "up";
const UP_STOP_MS = 5_000;

/** Stops the cluster whose data is in `folder`, and an "up" that makes it, and removes every trace. @param {string} folder */
export async function takeDown(folder) {
  await stopProcess(folder, UP, UP_STOP_MS);
  await withLock(folder, async () => {
    const plan = readPlan(folder);
    if (plan !== null) await removeCluster(plan);
    rmSync(folder, { recursive: true, force: true });
    process.stderr.write(plan === null ? "It was not up.\n" : "It is down.\n");
  });
}

/**
 * Removes all of a cluster, however much of it there is. Its folder goes last, with the plan: a removal that is cut off
 * can be done again.
 *
 * @param {Plan} plan
 */
export async function removeCluster(plan) {
  const nodes = nodesOf(plan);
  await killStrays(plan.folder);
  await Promise.all(
    programsOf(plan).map(async (program) => {
      await stopProgram(plan, program);
      await killStrays(programFolder(plan, program));
    }),
  );
  await Promise.all(nodes.map(stopNodeEngine));
  await removeBackingServices(plan);
  await removeNetwork(plan);
  removeSharedFolders(plan.madeFolders);
  rmSync(plan.folder, { recursive: true, force: true });
}
