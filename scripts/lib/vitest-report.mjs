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

const maxShown = 30;
const maxMessageLines = 25;

/** @param {string} text */
const head = (text) => text.split("\n").slice(0, maxMessageLines).join("\n");

/**
 * What failed in a run of vitest, for a reader who sees only the end of a log: a line for each test, "FILE > TEST",
 * and the beginning of its message below; at most 30 of them. A file that failed outside of its tests stands by its
 * name.
 *
 * @param {{ testResults: { name: string, status: string, message?: string, assertionResults: { status: string, fullName: string, failureMessages?: string[] | null }[] }[] } | null} report
 * @returns {string[]}
 */
export function describeFailures(report) {
  if (report === null) return ["no report was written: the run ended before its tests did"];
  const found = report.testResults.flatMap((file) => {
    const tests = file.assertionResults.filter(({ status }) => status === "failed");
    if (tests.length > 0) {
      return tests.map(
        (test) => `${file.name} > ${test.fullName}\n${head((test.failureMessages ?? []).join("\n"))}`,
      );
    }
    return file.status === "failed" ? [`${file.name}\n${head(file.message ?? "")}`] : [];
  });
  const shown = found.slice(0, maxShown);
  return found.length > maxShown ? [...shown, `and ${String(found.length - maxShown)} more`] : shown;
}
