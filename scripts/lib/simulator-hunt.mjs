import { runSimulations } from "./simulator.mjs";
import { places } from "./simulator-mutants.mjs";

/**
 * @typedef {import("./simulator.mjs").SimulationReport} SimulationReport
 * @typedef {import("./simulator-mutants.mjs").SourceMutant} SourceMutant
 */

/**
 * Breaks one rule after the other: every mutant must be found, by an invariant that is meant to find it. Prints what
 * found each, and which place's rules each invariant has caught. Returns the exit code.
 *
 * @param {{ from: number, seeds: number, jobs: number }} range
 * @param {readonly SourceMutant[]} mutants
 * @param {boolean} isTraced
 */
export async function hunt(range, mutants, isTraced) {
  const began = performance.now();
  /** @type {SourceMutant[]} */
  const found = [];
  for (const mutant of mutants) {
    const since = performance.now();
    const report = await firstViolation(range, mutant, isTraced);
    const { isGood, text } = verdictOn(mutant, report);
    if (isGood) found.push(mutant);
    const seconds = ((performance.now() - since) / 1000).toFixed(0);
    console.log(
      `${isGood ? "found " : "MISSED"} ${mutant.place}: ${mutant.name}\n       ${text}, ${seconds} s`,
    );
  }
  printTable(found);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`${String(found.length)} of ${String(mutants.length)} mutants found in ${seconds} s`);
  return found.length === mutants.length ? 0 : 1;
}

/**
 * Of the reports that come before the search ends, that of the lowest seed.
 *
 * @param {{ from: number, seeds: number, jobs: number }} range
 * @param {SourceMutant} mutant
 * @param {boolean} isTraced
 */
async function firstViolation(range, mutant, isTraced) {
  /** @type {SimulationReport | null} */
  let first = null;
  await runSimulations({
    ...range,
    mutant,
    onLine: isTraced ? (line) => console.log(line) : undefined,
    onReport: (report) => {
      if (report.violation !== null && (first === null || report.seed < first.seed)) first = report;
      return first !== null;
    },
  });
  return first;
}

/**
 * @param {SourceMutant} mutant
 * @param {SimulationReport | null} report
 */
function verdictOn(mutant, report) {
  const violation = report?.violation ?? null;
  if (report === null || violation === null) return { isGood: false, text: "no world breaks a promise" };
  const text = `seed ${String(report.seed)} breaks ${violation.invariant}: ${violation.message}`;
  return { isGood: mutant.invariants.includes(violation.invariant), text };
}

/**
 * How many rules of each place were broken and found, by the promise that they keep.
 *
 * @param {readonly SourceMutant[]} found
 */
function printTable(found) {
  const rows = [...new Set(found.map(({ invariants }) => invariants[0] ?? ""))];
  console.log(
    `\n${"Broken rules found, by promise".padEnd(34)}${places.map((place) => place.padStart(10)).join("")}`,
  );
  for (const row of rows) {
    const cells = places.map((place) => {
      const count = found.filter((mutant) => mutant.invariants[0] === row && mutant.place === place).length;
      return (count === 0 ? "-" : String(count)).padStart(10);
    });
    console.log(`${row.padEnd(34)}${cells.join("")}`);
  }
}
