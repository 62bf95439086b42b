import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { brokenLinks } from "./broken-links.js";
import { pagesOf, projectRoot } from "./markdown.js";

test("every link of the documentation leads to a file or heading that is there", () => {
  expect(brokenLinks(projectRoot, pagesOf(projectRoot))).toEqual([]);
});

test("links that lead nowhere are told with their place", () => {
  const root = mkdtempSync(join(tmpdir(), "dinp-docs-"));
  onTestFinished(() => {
    rmSync(root, { recursive: true });
  });
  mkdirSync(join(root, "docs"));
  writeFileSync(join(root, "README.md"), "# One `two` & three\n\n[a](docs/a.md#here) [b](#one-two--three)\n");
  const page = [
    "# Here",
    "[r](../README.md) [web](https://example.com/x) [same](#here)",
    "",
    "| a | b |",
    "| - | - |",
    "| 1 | [x](gone.md) |",
    "",
    "[y](../README.md#gone) [z](../../out.md) ![i](gone.png) [w](/README.md)",
  ];
  writeFileSync(join(root, "docs/a.md"), page.join("\n"));
  expect(brokenLinks(root, pagesOf(root))).toEqual([
    "docs/a.md:6 gone.md: there is no docs/gone.md",
    "docs/a.md:8 ../README.md#gone: README.md has no heading of that name",
    "docs/a.md:8 ../../out.md: leads out of the project",
    "docs/a.md:8 gone.png: there is no docs/gone.png",
    "docs/a.md:8 /README.md: leads out of the project",
  ]);
});
