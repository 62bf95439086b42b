import { expect, test } from "vitest";
import { countTests } from "../../scripts/lib/vitest-report.mjs";

const passedFile = { status: "passed", assertionResults: [{ status: "passed" }] };
const failedFile = { status: "failed", assertionResults: [{ status: "passed" }, { status: "failed" }] };
const unloadableFile = { status: "failed", assertionResults: [] };

test.each([
  ["all passed", 2, 0, [passedFile, passedFile], 0, { passed: 2, failed: 0 }],
  ["a test failed", 2, 1, [passedFile, failedFile], 1, { passed: 2, failed: 1 }],
  ["a file did not load", 1, 0, [passedFile, unloadableFile], 1, { passed: 1, failed: 1 }],
  ["both", 2, 1, [passedFile, failedFile, unloadableFile], 1, { passed: 2, failed: 2 }],
  ["an unhandled rejection beside passed tests", 1, 0, [passedFile], 1, { passed: 1, failed: 1 }],
  ["nothing ran", 0, 0, [], 0, { passed: 0, failed: 1 }],
])("%s", (_, numPassedTests, numFailedTests, testResults, exitCode, counted) => {
  expect(countTests({ numPassedTests, numFailedTests, testResults }, exitCode)).toEqual(counted);
});

test("a run without a report failed", () => {
  expect(countTests(null, 0)).toEqual({ passed: 0, failed: 1 });
});
