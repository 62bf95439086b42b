import { readFileSync } from "node:fs";
import { defineConfig, type Options } from "tsup";
import { findEntries } from "./scripts/lib/entries.mjs";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;

const shared: Options = {
  format: "esm",
  target: "node20",
  platform: "node",
  sourcemap: true,
  // The package has the sources themselves, once.
  esbuildOptions: (options) => {
    options.sourcesContent = false;
  },
  dts: false,
  clean: false,
  external: Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }).map(
    (name) => new RegExp(`^${name}(?:/|$)`),
  ),
};

/** A program that goes into images and to other users alone: one file. */
const ALONE = "bin/dinp-static";

function entriesOf(isWanted: (output: string) => boolean): Record<string, string> {
  const entries = findEntries().filter(({ output }) => isWanted(output));
  return Object.fromEntries(entries.map(({ output, source }) => [output, source]));
}

// All other entries in one build: chunks are shared, so there is one `DinpError` however the package is imported.
export default defineConfig([
  { ...shared, entry: entriesOf((output) => output !== ALONE), splitting: true },
  { ...shared, entry: entriesOf((output) => output === ALONE), splitting: false },
]);
