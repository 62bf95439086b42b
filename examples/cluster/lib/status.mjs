import process from "node:process";
import { isNodeEngineUp } from "./engines.mjs";
import { nodesOf, readPlan } from "./plan.mjs";
import { programsOf, stateOf } from "./programs.mjs";
import { dinp } from "./user.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

/** Whether all of a cluster runs and is ready. @param {Plan} plan */
export async function isWhole(plan) {
  const programs = await Promise.all(programsOf(plan).map((program) => stateOf(plan, program)));
  const engines = await Promise.all(nodesOf(plan).map(isNodeEngineUp));
  return programs.every((state) => state === "ready") && engines.every(Boolean);
}

/** Prints how all of a cluster is, and its apps; resolves to whether all is well. @param {string} folder */
export async function printStatus(folder) {
  const plan = readPlan(folder);
  if (plan === null) {
    process.stdout.write("It is not up.\n");
    return false;
  }
  for (const node of nodesOf(plan)) {
    const state = (await isNodeEngineUp(node)) ? "ready" : "down";
    process.stdout.write(`${node.name}\tdocker\t${node.address}\t${state}\n`);
  }
  for (const program of programsOf(plan)) {
    process.stdout.write(
      `${program.name}\t${program.kind}\t${program.address}\t${await stateOf(plan, program)}\n`,
    );
  }
  const whole = await isWhole(plan);
  if (whole) process.stdout.write(`\n${await dinp(plan, ["instances"])}`);
  return whole;
}
