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
/**
 * The command line client: one file as well, since reading several costs more than what most commands do. What its long-lived
 * commands need stays with the others.
 */
const CLIENT = "bin/dinp";
const loadedByClient: Readonly<Record<string, string>> = {
  "bin/embedded/up": "src/bin/embedded/up.ts",
  "bin/host/host-bases": "src/bin/host/host-bases.ts",
};

function entriesOf(isWanted: (output: string) => boolean): Record<string, string> {
  const entries = findEntries().filter(({ output }) => isWanted(output));
  return Object.fromEntries(entries.map(({ output, source }) => [output, source]));
}

// All other entries in one build: chunks are shared.
export default defineConfig([
  {
    ...shared,
    entry: { ...entriesOf((output) => output !== ALONE && output !== CLIENT), ...loadedByClient },
    splitting: true,
  },
  { ...shared, entry: entriesOf((output) => output === ALONE), splitting: false },
  {
    ...shared,
    entry: entriesOf((output) => output === CLIENT),
    splitting: false,
    external: [
      ...(shared.external ?? []),
      "@dinp/core/yaml",
      ...Object.keys(loadedByClient).map((output) => `${output.replace("bin", ".")}.js`),
    ],
  },
]);
