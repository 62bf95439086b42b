import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { foreignTypes } from "../../scripts/lib/public-types.mjs";

/** The packages that `entry.d.ts` mentions, as `file name`, when these are the declarations. */
function foreignIn(files: Readonly<Record<string, string>>): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), "dinp-types-"));
  onTestFinished(() => {
    rmSync(root, { recursive: true });
  });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const found = foreignTypes(join(root, "entry.d.ts"), (subpath) =>
    subpath === "." ? join(root, "core/index.d.ts") : undefined,
  );
  return found.map(({ file, name }) => `${file.slice(root.length + 1)} ${name}`);
}

test("own, core's and Node's types are no foreign ones, and cycles end", () => {
  const found = foreignIn({
    "entry.d.ts": `import type { A } from "./a.js";\nimport { B } from "@dinp/core";\nexport { A, B };`,
    "a.d.ts": `import type { Server } from "node:http";\nexport * from "./entry.js";\nexport type A = Server;`,
    "core/index.d.ts": `export type B = string;`,
    "unreachable.d.ts": `export * from "http-proxy";`,
  });
  expect(found).toEqual([]);
});

test.each([
  ["an import", `import type Proxy from "http-proxy";\nexport type A = Proxy;`, "http-proxy"],
  ["an export", `export type { Kysely } from "kysely";`, "kysely"],
  [
    "an import type",
    `export declare const db: import("@electric-sql/pglite").PGlite;`,
    "@electric-sql/pglite",
  ],
  ["a type query", `export declare const load: () => Promise<typeof import("hono")>;`, "hono"],
  ["a reference", `/// <reference types="pino" />\nexport {};`, "pino"],
  ["an unknown entry", `export * from "@dinp/core/other";`, "@dinp/core/other"],
])("%s of another package is found behind core and behind files", (_, text, name) => {
  expect(foreignIn({ "entry.d.ts": `export * from "./deep/a.js";`, "deep/a.d.ts": text })).toEqual([
    `deep/a.d.ts ${name}`,
  ]);
  expect(foreignIn({ "entry.d.ts": `export * from "@dinp/core";`, "core/index.d.ts": text })).toEqual([
    `core/index.d.ts ${name}`,
  ]);
});
