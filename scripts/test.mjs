import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureBuilt } from "./build.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { run } from "./lib/run.mjs";
import { runMain } from "./lib/step.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

await runMain(async () => {
  process.chdir(root);
  await ensureInstalled();
  await ensureBuilt();
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  return run(process.execPath, [vitest, "run", ...process.argv.slice(2)]);
});
