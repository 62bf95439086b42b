import { copyFileSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
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
  external: externalBut(),
};

/** All dependencies but those that a file is to have in it. */
function externalBut(...included: readonly string[]): RegExp[] {
  return Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
    .filter((name) => !included.includes(name))
    .map((name) => new RegExp(`^${name}(?:/|$)`));
}

/** The parser can start programs, which the client never has it do: what that takes is loaded when it would be. */
const lateChildProcess: NonNullable<Options["esbuildPlugins"]>[number] = {
  name: "late-child-process",
  setup: (build) => {
    build.onResolve({ filter: /^node:child_process$/ }, ({ kind }) =>
      kind === "require-call" ? { path: resolve("src/bin/late/child-process.ts") } : undefined,
    );
  },
};

function licenceOf(name: string): string {
  return readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim();
}

/** What a module needs that has CommonJS ones in it, and the licence of the parser. */
function clientHead(): string {
  return `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
/* This file has ${PARSER} in it:

${licenceOf(PARSER)}
*/`;
}

/** A program that goes into images and to other users alone: one file. */
const ALONE = "bin/dinp-static";
/**
 * The command line client: one file as well, with the parser of its arguments, since finding and reading several costs more than
 * what most commands do. What its long-lived commands need stays with the others.
 */
const CLIENT = "bin/dinp";
const PARSER = "commander";
const loadedByClient: Readonly<Record<string, string>> = {
  "bin/embedded/up": "src/bin/embedded/up.ts",
  "bin/host/host-bases": "src/bin/host/host-bases.ts",
};

function entriesOf(isWanted: (output: string) => boolean): Record<string, string> {
  const entries = findEntries().filter(({ output }) => isWanted(output));
  return Object.fromEntries(entries.map(({ output, source }) => [output, source]));
}

/** The dashboard's page: one module for browsers, with its view library, beside the files that it is loaded by. */
const PAGE = { source: "src/adapters/dash/page", output: "adapters/dash/page" };
const pageBuild: Options = {
  ...shared,
  entry: { [`${PAGE.output}/dash`]: `${PAGE.source}/main.tsx` },
  platform: "browser",
  target: "es2022",
  splitting: false,
  minify: true,
  sourcemap: false,
  external: [],
  noExternal: [/^preact/],
  banner: { js: `/*! This file has preact in it:\n\n${licenceOf("preact")}\n*/` },
  esbuildOptions: (options) => {
    options.sourcesContent = false;
    options.jsx = "automatic";
    options.jsxImportSource = "preact";
  },
  onSuccess: () => {
    for (const name of ["index.html", "dash.css", "icon.svg"])
      copyFileSync(`${PAGE.source}/${name}`, `dist/${PAGE.output}/${name}`);
    return Promise.resolve();
  },
};

// All other entries in one build: chunks are shared.
export default defineConfig([
  pageBuild,
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
    noExternal: [PARSER],
    removeNodeProtocol: false,
    esbuildPlugins: [lateChildProcess],
    banner: { js: clientHead() },
    external: [
      ...externalBut(PARSER),
      "@dinp/core/yaml",
      ...Object.keys(loadedByClient).map((output) => `${output.replace("bin", ".")}.js`),
    ],
  },
]);
