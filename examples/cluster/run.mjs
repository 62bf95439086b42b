// run up|down|status: a cluster with every program in a process of its own, on this machine. Needs root and Debian.
import process from "node:process";
import { parseArgs } from "node:util";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runMain, StepFailed } from "../../scripts/lib/step.mjs";
import { takeDown } from "./lib/down.mjs";
import { isStoreName, storeNames } from "./lib/plan.mjs";
import { printStatus } from "./lib/status.mjs";
import { bringUp } from "./lib/up.mjs";

const USAGE = `Usage: examples/cluster/run up|down|status [--store ${storeNames.join("|")}] [--folder DIR]
  up      start the cluster, push the example apps, and ask them through each router; what runs already stays
  down    stop it, also while "up" is at work, and remove every trace of it
  status  say what of it runs
  --store   the database of "up" (default: postgres)
  --folder  where its data is (default: .cache/cluster in this repository); each folder has a cluster of its own`;

const home = fileURLToPath(new URL("../../.cache/cluster", import.meta.url));

/** @param {readonly string[]} args */
function parsed(args) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { store: { type: "string", default: "postgres" }, folder: { type: "string", default: home } },
    });
  } catch (error) {
    throw new StepFailed(`${error instanceof Error ? error.message : ""}\n${USAGE}`, 2);
  }
}

await runMain(async () => {
  const { positionals, values } = parsed(process.argv.slice(2));
  const [command = "", ...more] = positionals;
  const { store } = values;
  const folder = resolve(values.folder);
  if (more.length > 0 || !isStoreName(store)) throw new StepFailed(USAGE, 2);
  if (["up", "down"].includes(command) && process.getuid?.() !== 0) {
    throw new StepFailed("It needs root: it makes network namespaces and runs Docker engines.", 1);
  }
  switch (command) {
    case "up":
      await bringUp(folder, store);
      return 0;
    case "down":
      await takeDown(folder);
      return 0;
    case "status":
      return (await printStatus(folder)) ? 0 : 1;
    default:
      throw new StepFailed(USAGE, 2);
  }
});
