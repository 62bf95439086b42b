import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Bundles a TypeScript program of the tests, so that a Node process of its own can run it; gives the file. */
export async function buildScript(source: string): Promise<string> {
  const outDir = await mkdtemp("/tmp/dinp-script-");
  await build({
    entry: { script: source },
    outDir,
    format: "esm",
    target: "node20",
    platform: "node",
    outExtension: () => ({ js: ".mjs" }),
    config: false,
    silent: true,
    noExternal: [/^@dinp\//],
    esbuildOptions: (options) => {
      options.alias = {
        "@dinp/core/process": join(root, "src/adapters/process/index.ts"),
        "@dinp/core/static-files": join(root, "src/adapters/static-files/index.ts"),
        "@dinp/core/system": join(root, "src/adapters/system/index.ts"),
        "@dinp/core": join(root, "src/core/index.ts"),
      };
    },
  });
  return join(outDir, "script.mjs");
}
