// count-tests.mjs REPORT EXIT_CODE [FAILURES]: prints "PASSED FAILED" of one run of vitest, and adds what failed to the
// file FAILURES.
import { appendFileSync, readFileSync } from "node:fs";
import process from "node:process";
import { countTests, describeFailures } from "./lib/vitest-report.mjs";

const [path = "", exitCode = "1", failures] = process.argv.slice(2);

function readReport() {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

const report = readReport();
const { passed, failed } = countTests(report, Number(exitCode));
if (failures !== undefined && failed > 0) {
  const described = describeFailures(report);
  const text =
    described.length > 0 ? described : ["something outside of the tests: see the end of the run's output"];
  appendFileSync(failures, `${text.join("\n")}\n`);
}
console.log(`${String(passed)} ${String(failed)}`);
