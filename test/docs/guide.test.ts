import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, onTestFinished, test } from "vitest";
import { projectRoot, runProgram } from "../e2e/harness.js";
import { pagesOf } from "./markdown.js";
import { fileNameOf } from "./type-errors.js";

/** Writes the files of the guide, as JavaScript, where `@dinp/core` is the built package. */
function writeFiles(): string {
  // Below the project, so that its own name leads to it as to an installed package.
  mkdirSync(join(projectRoot, "temp"), { recursive: true });
  const folder = mkdtempSync(join(projectRoot, "temp", "guide-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const guide = pagesOf(projectRoot).find(({ path }) => path === "docs/writing-an-adapter.md");
  for (const block of guide?.blocks ?? []) {
    const name = fileNameOf(block);
    if (name === null) continue;
    const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
    const { outputText } = ts.transpileModule(block.text, { compilerOptions: options });
    writeFileSync(join(folder, name.replace(/\.ts$/, ".js")), outputText);
  }
  return folder;
}

test("the guide begins with an adapter that passes its suite, run as the guide says", async () => {
  const cwd = writeFiles();
  const { code, stdout, stderr } = await runProgram(process.execPath, ["check.js"], { cwd });
  expect(stdout + stderr).not.toContain("NOT OK");
  expect(code).toBe(0);
  expect(stdout.match(/^ok {6}/gm)?.length).toBeGreaterThanOrEqual(15);
  const tested = await runProgram(process.execPath, ["--test", "direct-prober.test.js"], { cwd });
  expect(tested.code, tested.stdout).toBe(0);
});
