import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureBuilt } from "./build.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { run } from "./lib/run.mjs";
import { runMain } from "./lib/step.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

await runMain(async () => {
  await ensureInstalled();
  await ensureBuilt();
  const demo = join(root, "examples/apps/hello");
  const args = [join(root, "dist/bin/dinp.js"), "up", "--demo", demo, ...process.argv.slice(2)];
  return run(process.execPath, args);
});
