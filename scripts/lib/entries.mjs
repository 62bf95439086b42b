import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * One entry of the package: `subpath` as its users import it (null for a program of `bin`), `source` where it is
 * written, `output` where it is built to, without its ending.
 *
 * @typedef {{ subpath: string | null, source: string, output: string }} Entry
 */

const projectRoot = fileURLToPath(new URL("../..", import.meta.url));

/** Adapters that only other adapters use: not an entry of the package. */
const INTERNAL_ADAPTERS = new Set(["runtime", "sql"]);

/**
 * The entries of the package as the folders say: core, each adapter with an `index.ts`, each program.
 *
 * @param {string} [root]
 * @returns {Entry[]}
 */
export function findEntries(root = projectRoot) {
  /** @type {Entry[]} */
  const entries = [
    { subpath: ".", source: "src/core/index.ts", output: "core/index" },
    { subpath: "./testing", source: "src/core/testing/index.ts", output: "core/testing/index" },
    { subpath: "./client", source: "src/adapters/http-api/client.ts", output: "client" },
    { subpath: "./compose", source: "src/bin/compose/index.ts", output: "compose" },
  ];
  for (const name of namesIn(root, "src/adapters")) {
    if (INTERNAL_ADAPTERS.has(name)) continue;
    const output = `adapters/${name}/index`;
    entries.push({ subpath: `./${name}`, source: `src/${output}.ts`, output });
  }
  for (const file of namesIn(root, "src/bin")) {
    const name = /^([^.]+)\.ts$/.exec(file)?.[1];
    if (name !== undefined) entries.push({ subpath: null, source: `src/bin/${file}`, output: `bin/${name}` });
  }
  return entries.filter((entry) => existsSync(join(root, entry.source)));
}

/**
 * @param {string} root
 * @param {string} folder
 */
function namesIn(root, folder) {
  return existsSync(join(root, folder)) ? readdirSync(join(root, folder)).sort() : [];
}

/**
 * What `exports` in package.json must be for these entries.
 *
 * @param {readonly Entry[]} entries
 * @returns {Record<string, { types: string, default: string } | string>}
 */
export function exportsOf(entries) {
  /** @type {ReturnType<typeof exportsOf>} */
  const exports = {};
  for (const { subpath, source, output } of entries) {
    if (subpath === null) continue;
    exports[subpath] = { types: `./${declarationOf(source)}`, default: `./dist/${output}.js` };
  }
  exports["./package.json"] = "./package.json";
  return exports;
}

/**
 * Where the declarations of a source file are emitted to.
 *
 * @param {string} source
 */
export function declarationOf(source) {
  return source.replace(/^src\//, "dist/types/").replace(/\.ts$/, ".d.ts");
}
