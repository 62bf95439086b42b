import { expect, test } from "vitest";
import { countTests, describeFailures } from "../../scripts/lib/vitest-report.mjs";

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

test("what failed is named with its file and the beginning of its message", () => {
  const message = Array.from({ length: 100 }, (_, line) => `line ${String(line)}`).join("\n");
  const report = {
    testResults: [
      {
        name: "a.test.ts",
        status: "failed",
        assertionResults: [
          { status: "passed", fullName: "is well" },
          { status: "failed", fullName: "is ill", failureMessages: [message] },
        ],
      },
      { name: "b.test.ts", status: "failed", message: "no such module", assertionResults: [] },
      { name: "c.test.ts", status: "passed", assertionResults: [] },
    ],
  };
  const failures = describeFailures(report);
  expect(failures.map((text) => text.split("\n").slice(0, 2))).toEqual([
    ["a.test.ts > is ill", "line 0"],
    ["b.test.ts", "no such module"],
  ]);
  expect(failures[0]?.split("\n")).toHaveLength(26);
});

test("the failures that are named are bounded, and it is said that there are more", () => {
  const assertionResults = Array.from({ length: 40 }, (_, n) => ({
    status: "failed",
    fullName: `test ${String(n)}`,
  }));
  const failures = describeFailures({
    testResults: [{ name: "a.test.ts", status: "failed", assertionResults }],
  });
  expect(failures).toHaveLength(31);
  expect(failures.at(-1)).toBe("and 10 more");
});
