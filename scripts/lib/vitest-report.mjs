/**
 * How many tests a run of vitest passed and failed, by the report of its JSON reporter (null: it wrote none) and its
 * exit code. What failed outside of a test (a file that does not load, an unhandled rejection, a crash) counts as one
 * failure for each file, or one in all: a run that went wrong is never counted as clean, nor one that ran nothing.
 *
 * @param {{ numPassedTests: number, numFailedTests: number, testResults: { status: string, assertionResults: { status: string }[] }[] } | null} report
 * @param {number} exitCode
 * @returns {{ passed: number, failed: number }}
 */
export function countTests(report, exitCode) {
  if (report === null) return { passed: 0, failed: 1 };
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some(({ status }) => status === "failed"),
  ).length;
  const passed = report.numPassedTests;
  const failed = report.numFailedTests + brokenFiles;
  const wentWrong = exitCode !== 0 || passed + failed === 0;
  return { passed, failed: wentWrong ? Math.max(failed, 1) : failed };
}
