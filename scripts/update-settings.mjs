// Writes the tables of docs/configuration.md, from "## Settings" on, as the programs describe their settings.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const PAGE = "docs/configuration.md";
const HEADING = "## Settings\n";

const folder = mkdtempSync("node_modules/.settings-");
try {
  const outfile = join(folder, "settings.mjs");
  await build({
    stdin: {
      contents: `export { markdownOf } from "./src/bin/config/describe-config.js";
export { allSettings } from "./src/bin/config/all-settings.js";`,
      resolveDir: process.cwd(),
    },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    alias: { "@dinp/core/yaml": "./src/adapters/yaml/index.ts", "@dinp/core": "./src/core/index.ts" },
    packages: "external",
  });
  const { markdownOf, allSettings } = await import(pathToFileURL(outfile).href);
  const page = readFileSync(PAGE, "utf8");
  const [head] = page.split(HEADING, 1);
  writeFileSync(PAGE, `${head}${HEADING}\n${markdownOf(allSettings)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
