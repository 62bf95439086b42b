// services.mjs up|down|env [NAME…]: starts the servers that tests need (all of them, or those that are named), stops
// exactly what it started, or prints shell exports that say where they are. Uses nothing but Node itself.
import process from "node:process";
import { runMain, StepFailed } from "./lib/step.mjs";
import { environmentOf, serviceNames, startServices, stopServices } from "./lib/services/index.mjs";

const USAGE = `Usage: scripts/services up|down|env [NAME…]
  up     install what is missing and start the services; what runs already stays
  down   stop what was started and remove every trace of it
  env    print shell exports that tell tests where the services are
Services: ${serviceNames.join(", ")}. Without a name, all of them.`;

/** @param {string} value */
function shellQuoted(value) {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

await runMain(async () => {
  const [command = "", ...names] = process.argv.slice(2);
  const unknown = names.find((name) => !serviceNames.includes(name));
  if (unknown !== undefined) throw new StepFailed(`There is no service ${unknown}.\n${USAGE}`, 2);
  const chosen = names.length === 0 ? serviceNames : names;
  switch (command) {
    case "up":
      await startServices(chosen);
      return 0;
    case "down":
      await stopServices(chosen);
      return 0;
    case "env": {
      const { variables, missing } = await environmentOf(chosen);
      for (const [name, value] of Object.entries(variables)) {
        process.stdout.write(`export ${name}=${shellQuoted(value)}\n`);
      }
      if (missing.length === 0) return 0;
      throw new StepFailed(`Not running: ${missing.join(", ")}. Start them with scripts/services up.`, 1);
    }
    default:
      throw new StepFailed(USAGE, 2);
  }
});
