// count-tests.mjs REPORT EXIT_CODE: prints "PASSED FAILED" of one run of vitest.
import { readFileSync } from "node:fs";
import process from "node:process";
import { countTests } from "./lib/vitest-report.mjs";

const [path = "", exitCode = "1"] = process.argv.slice(2);

function readReport() {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

const { passed, failed } = countTests(readReport(), Number(exitCode));
console.log(`${String(passed)} ${String(failed)}`);
