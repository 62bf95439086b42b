// Writes `exports` of package.json from the folders: run it after adding an adapter.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { exportsOf, findEntries } from "./lib/entries.mjs";

const path = fileURLToPath(new URL("../package.json", import.meta.url));
const manifest = JSON.parse(readFileSync(path, "utf8"));
writeFileSync(path, `${JSON.stringify({ ...manifest, exports: exportsOf(findEntries()) }, null, 2)}\n`);
