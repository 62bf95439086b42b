import { expect, test } from "vitest";
import { median, missedGoals } from "../../bench/lib/bench.js";

test("a bench names the goals that it missed, and those that it did not measure", () => {
  const goals = { kept: { atMost: 2 }, slow: { atMost: 2 }, few: { atLeast: 5 }, lost: { atLeast: 1 } };
  const measured = new Map([
    ["kept", { value: 2, unit: "x" }],
    ["slow", { value: 2.5, unit: "x" }],
    ["few", { value: 4, unit: "files" }],
  ]);
  expect(missedGoals(goals, measured)).toEqual([
    "slow is 2.50 x (goal: ≤ 2)",
    "few is 4.00 files (goal: ≥ 5)",
    "lost was not measured (goal: ≥ 1)",
  ]);
});

test("the median is a value that was seen", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2);
});
