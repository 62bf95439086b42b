// Of each test file: one line of JSON in the file that DINP_TEST_COSTS names, with the processor time that it took.
import { appendFileSync, readFileSync } from "node:fs";
import { afterAll, expect } from "vitest";

const costs = process.env["DINP_TEST_COSTS"] ?? "";

if (costs !== "") {
  afterAll(() => {
    const { testPath = "" } = expect.getState();
    const { user, system } = process.cpuUsage();
    const line = { file: testPath, ownMs: (user + system) / 1_000, childrenMs: childrenMs() };
    appendFileSync(costs, `${JSON.stringify(line)}\n`);
  });
}

/** Of all children that were waited for, and theirs (proc(5): cutime and cstime, in hundredths of a second). */
function childrenMs(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[13]) + Number(fields[14])) * 10;
}
