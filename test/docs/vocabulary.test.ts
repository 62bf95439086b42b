import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pagesOf, projectRoot } from "./markdown.js";

/** The types that the vocabulary names, in the last cell of a row of three. */
function namedTypes(text: string): readonly string[] {
  const rows = text.split("\n").map((line) => line.split("|").slice(1, -1));
  return rows.flatMap((cells) =>
    cells.length === 3 ? [...(cells[2] ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name ?? "") : [],
  );
}

test("the types that the vocabulary names are public names of core", () => {
  const report = readFileSync(join(projectRoot, "etc/core.api.md"), "utf8");
  const declarations = /^export (?:declare |abstract )*(?:interface|class|type|const|function) (\w+)/gm;
  const names = new Set([...report.matchAll(declarations)].map(([, name]) => name));
  const page = pagesOf(projectRoot).find(({ path }) => path === "docs/vocabulary.md");
  const types = namedTypes(page?.text ?? "");
  expect(types.length).toBeGreaterThan(40);
  expect(types.filter((name) => !names.has(name))).toEqual([]);
});
