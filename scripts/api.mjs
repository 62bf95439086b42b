// The public API, checked: a report for each entry of the package in etc/, and no driver's types in any of them.
// `--update` writes the reports; without it a difference fails.
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { CompilerState, Extractor, ExtractorConfig } from "@microsoft/api-extractor";
import { emitTypes } from "./build.mjs";
import { declarationOf, findEntries } from "./lib/entries.mjs";
import { foreignTypes } from "./lib/public-types.mjs";
import { StepFailed, runMain } from "./lib/step.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const update = process.argv.includes("--update");

/** The entries that can be imported, with the declarations that their users compile against. */
function publicEntries() {
  return findEntries(root).flatMap(({ subpath, source }) =>
    subpath === null ? [] : [{ subpath, file: join(root, declarationOf(source)) }],
  );
}

/** @typedef {ReturnType<typeof publicEntries>} PublicEntries */

/** The report's file name. @param {string} subpath */
function reportName(subpath) {
  return `${subpath === "." ? "core" : subpath.slice("./".length)}.api.md`;
}

/**
 * Packages whose types are what an entry is about.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const PART_OF = { "./compose": ["tsyringe", "reflect-metadata"] };

/** @param {PublicEntries} entries */
function assertNoForeignTypes(entries) {
  const declarations = new Map(entries.map(({ subpath, file }) => [subpath, file]));
  const lines = entries.flatMap(({ subpath, file }) =>
    foreignTypes(file, (other) => declarations.get(other))
      .filter(({ name }) => !(PART_OF[subpath] ?? []).includes(name))
      .map((found) => `  ${subpath}: ${relative(root, found.file)} mentions ${found.name}`),
  );
  if (lines.length === 0) return;
  throw new StepFailed(
    `The public types mention other packages (a type that names one belongs in a file that no public type comes from):\n${[...new Set(lines)].join("\n")}`,
    1,
  );
}

/** @param {string} subpath @param {string} file */
function configOf(subpath, file) {
  const path = join(root, "api-extractor.json");
  const base = ExtractorConfig.loadFile(path);
  return ExtractorConfig.prepare({
    configObject: {
      ...base,
      mainEntryPointFilePath: file,
      apiReport: { ...base.apiReport, enabled: true, reportFileName: reportName(subpath) },
    },
    configObjectFullPath: path,
    packageJsonFullPath: join(root, "package.json"),
  });
}

/** Reports that belong to no entry. @param {PublicEntries} entries */
function strayReports(entries) {
  const wanted = new Set(entries.map(({ subpath }) => reportName(subpath)));
  return readdirSync(join(root, "etc")).filter((name) => name.endsWith(".api.md") && !wanted.has(name));
}

/** @param {PublicEntries} entries */
function writeReports(entries) {
  mkdirSync(join(root, "etc"), { recursive: true });
  const copy = join(root, "temp/node_modules/@dinp/core");
  rmSync(copy, { recursive: true, force: true });
  cpSync(join(root, "dist/types/core"), copy, { recursive: true });

  const configs = entries.map(({ subpath, file }) => configOf(subpath, file));
  const [first] = configs;
  if (first === undefined) return;
  const compilerState = CompilerState.create(first, {
    additionalEntryPoints: entries.map(({ file }) => file),
  });
  const failed = configs.filter((config) => {
    const result = Extractor.invoke(config, {
      compilerState,
      localBuild: update,
      messageCallback(message) {
        // What is said about a changed report is said below, for all of them at once.
        message.handled = message.messageId.startsWith("console-") && message.logLevel !== "error";
      },
    });
    return result.errorCount > 0 || (!update && result.apiReportChanged);
  });
  if (failed.length > 0) {
    const names = failed.map((config) => relative(root, config.reportFilePath)).join(", ");
    throw new StepFailed(
      `The public API differs from ${names}: run npm run api and look at what changed.`,
      1,
    );
  }
  const stray = strayReports(entries);
  if (update) for (const name of stray) rmSync(join(root, "etc", name));
  else if (stray.length > 0)
    throw new StepFailed(`Reports without an entry in etc/: ${stray.join(", ")}.`, 1);
}

await runMain(async () => {
  await emitTypes();
  const entries = publicEntries();
  writeReports(entries);
  assertNoForeignTypes(entries);
  return 0;
});
