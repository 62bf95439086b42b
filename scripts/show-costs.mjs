// show-costs.mjs FILE: the test files that took the most processor time, by what test/support/costs.ts wrote.
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import process from "node:process";

const SHOWN = 20;
const [path = ""] = process.argv.slice(2);
/** @typedef {{ file: string, ownMs: number, childrenMs: number }} Cost */

/** @type {Cost[]} */
const costs = existsSync(path)
  ? readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  : [];

/** @param {number} ms */
const seconds = (ms) => (ms / 1_000).toFixed(1).padStart(8);

const all = costs.reduce((sum, { ownMs, childrenMs }) => sum + ownMs + childrenMs, 0);
console.log(
  `${seconds(all)} s of processor time in all (servers of other programs not counted); the most costly:`,
);
for (const { file, ownMs, childrenMs } of costs
  .toSorted((a, b) => b.ownMs + b.childrenMs - a.ownMs - a.childrenMs)
  .slice(0, SHOWN)) {
  const name = relative(process.cwd(), file);
  console.log(
    `${seconds(ownMs + childrenMs)} s  ${name} (${seconds(childrenMs).trim()} s of it in processes it started)`,
  );
}
