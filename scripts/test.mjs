import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensureBuilt } from "./build.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { run } from "./lib/run.mjs";
import { environmentOf, serviceNames } from "./lib/services/index.mjs";
import { missingServices } from "./lib/services/variables.mjs";
import { runMain } from "./lib/step.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

await runMain(async () => {
  process.chdir(root);
  await ensureInstalled();
  await ensureBuilt();
  const { variables } = await environmentOf(serviceNames);
  const env = { ...variables, ...process.env };
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const code = await run(process.execPath, [vitest, "run", ...process.argv.slice(2)], { env });
  const missing = missingServices(env);
  if (missing.length > 0) {
    const text = `Left out: the tests that need ${missing.join(", ")} (scripts/services up starts what they need).`;
    process.stderr.write(`${text}\n`);
  }
  return code;
});
