import { runSimulations } from "./simulator.mjs";

/**
 * @typedef {import("./simulator.mjs").SimulationReport} SimulationReport
 * @typedef {import("./simulator-mutants.mjs").SourceMutant} SourceMutant
 */

/** Worlds between two lines on standard error. */
const PROGRESS_EVERY = 100;

/**
 * Every seed must keep every promise. Prints those that do not, and what happened in all; returns the exit code.
 *
 * @param {{ from: number, seeds: number, jobs: number }} range
 * @param {boolean} isTraced
 * @param {SourceMutant} [mutant] A rule that is broken meanwhile.
 */
export async function check(range, isTraced, mutant) {
  const began = performance.now();
  /** @type {Map<string, { times: number, worlds: number }>} */
  const seen = new Map();
  /** @type {number[]} */
  const failed = [];
  let worlds = 0;
  let steps = 0;
  await runSimulations({
    ...range,
    mutant,
    onLine: isTraced ? (line) => console.log(line) : undefined,
    onReport: (report) => {
      worlds += 1;
      steps += report.steps;
      for (const [what, times] of report.counts) {
        const before = seen.get(what) ?? { times: 0, worlds: 0 };
        seen.set(what, { times: before.times + times, worlds: before.worlds + 1 });
      }
      if (report.violation !== null) {
        failed.push(report.seed);
        tell(report, isTraced);
      } else if (isTraced)
        console.log(`seed ${String(report.seed)}: all promises kept, fingerprint ${report.fingerprint}`);
      if (worlds % PROGRESS_EVERY === 0)
        console.error(`${String(worlds)} of ${String(range.seeds)} worlds, ${secondsSince(began)} s`);
      return false;
    },
  });
  console.log("\nWhat happened, how often, and in how many worlds:");
  for (const [what, { times, worlds: worldsWith }] of [...seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`  ${what.padEnd(60)} ${String(times).padStart(9)} ${String(worldsWith).padStart(6)}`);
  }
  const last = range.from + range.seeds - 1;
  console.log(
    `\nseeds ${String(range.from)} to ${String(last)}: ${String(steps)} steps in ${secondsSince(began)} s`,
  );
  const seeds = failed.length === 0 ? "" : `: seeds ${failed.sort((a, b) => a - b).join(", ")}`;
  console.log(
    `${String(worlds - failed.length)} worlds kept every promise, ${String(failed.length)} did not${seeds}`,
  );
  return failed.length === 0 ? 0 : 1;
}

/** @param {number} began */
function secondsSince(began) {
  return ((performance.now() - began) / 1000).toFixed(0);
}

/**
 * @param {SimulationReport} report
 * @param {boolean} isTraced
 */
function tell({ seed, violation, lastLines, fingerprint }, isTraced) {
  if (violation === null) return;
  const at = (violation.atMs / 1000).toFixed(1);
  console.log(`\nseed ${String(seed)} breaks ${violation.invariant} after ${at} s: ${violation.message}`);
  console.log(`  fingerprint ${fingerprint}`);
  if (isTraced) return;
  for (const line of lastLines.slice(-25)) console.log(`  ${line}`);
  console.log(`  Replay it with: npm run sim -- --seeds 1 --from ${String(seed)} --trace`);
}
