import { readFileSync } from "node:fs";
import { defineConfig } from "tsup";
import { findEntries } from "./scripts/lib/entries.mjs";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;

// All entries in one build: chunks are shared, so there is one `DinpError` however the package is imported.
export default defineConfig({
  entry: Object.fromEntries(findEntries().map(({ output, source }) => [output, source])),
  format: "esm",
  target: "node20",
  platform: "node",
  splitting: true,
  sourcemap: true,
  dts: false,
  clean: false,
  external: Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }).map(
    (name) => new RegExp(`^${name}(?:/|$)`),
  ),
});
