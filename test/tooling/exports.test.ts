import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { exportsOf, findEntries } from "../../scripts/lib/entries.mjs";

interface Manifest {
  readonly exports: unknown;
  readonly bin: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Manifest;

test("package.json exports what the folders hold (else: npm run exports)", () => {
  expect(manifest.exports).toEqual(exportsOf(findEntries()));
});

test("entries are core, each adapter with an index but the shared ones, and each program", () => {
  const root = mkdtempSync(join(tmpdir(), "dinp-entries-"));
  onTestFinished(() => {
    rmSync(root, { recursive: true });
  });
  const files = [
    "core/index.ts",
    "core/plan/index.ts",
    "adapters/memory/index.ts",
    "adapters/memory/other.ts",
    "adapters/half-done/other.ts",
    "adapters/runtime/index.ts",
    "adapters/sql/index.ts",
    "adapters/http-api/client.ts",
    "bin/dinp.ts",
    "bin/dinp.d.ts",
  ];
  for (const file of files) {
    mkdirSync(dirname(join(root, "src", file)), { recursive: true });
    writeFileSync(join(root, "src", file), "export {};\n");
  }
  const entries = findEntries(root);
  expect(entries.map(({ source }) => source).sort()).toEqual([
    "src/adapters/http-api/client.ts",
    "src/adapters/memory/index.ts",
    "src/bin/dinp.ts",
    "src/core/index.ts",
  ]);
  expect(exportsOf(entries)).toEqual({
    ".": { types: "./dist/types/core/index.d.ts", default: "./dist/core/index.js" },
    "./client": { types: "./dist/types/adapters/http-api/client.d.ts", default: "./dist/client.js" },
    "./memory": {
      types: "./dist/types/adapters/memory/index.d.ts",
      default: "./dist/adapters/memory/index.js",
    },
    "./package.json": "./package.json",
  });
});
