import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";

/**
 * @typedef {import("../../src/core/testing/index.js").SimulationReport} SimulationReport
 * @typedef {import("./simulator-mutants.mjs").SourceMutant} SourceMutant
 */

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Runs simulations, each in some worker, and hands each report on as it comes. Ends early when `onReport` says so.
 *
 * @param {{
 *   from: number, seeds: number, jobs: number, mutant?: SourceMutant | undefined,
 *   onReport: (report: SimulationReport) => boolean, onLine?: ((line: string) => void) | undefined,
 * }} options
 */
export async function runSimulations({ from, seeds, jobs, mutant, onReport, onLine }) {
  const folder = await mkdtemp(join(tmpdir(), "dinp-sim-"));
  try {
    const file = join(folder, "worker.mjs");
    await bundle(file, mutant);
    let next = from;
    let isOver = false;
    const take = () => (isOver || next >= from + seeds ? null : next++);
    const end = () => {
      isOver = true;
    };
    const keep = (/** @type {SimulationReport} */ report) => {
      if (onReport(report)) end();
    };
    const workers = Array.from({ length: Math.min(jobs, seeds) }, () => runWorker(file, take, keep, onLine));
    // When one of them fails, the others finish what they have in hand, so that nothing is left behind.
    for (const worker of workers) worker.catch(end);
    const outcomes = await Promise.allSettled(workers);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} file
 * @param {() => number | null} take
 * @param {(report: SimulationReport) => void} onReport
 * @param {((line: string) => void) | undefined} onLine
 * @returns {Promise<void>}
 */
function runWorker(file, take, onReport, onLine) {
  return new Promise((resolve, reject) => {
    // Without the options of this process: those that say how to read its own script are refused there.
    const worker = new Worker(file, { execArgv: [] });
    let seed = take();
    const give = () => {
      if (seed === null) void worker.terminate().then(() => resolve());
      else worker.postMessage({ seed, isTraced: onLine !== undefined });
    };
    worker.on("message", ({ report, line }) => {
      if (line !== undefined) onLine?.(line);
      else {
        onReport(report);
        seed = take();
        give();
      }
    });
    worker.on("error", (error) => {
      reject(new Error(`The world of seed ${String(seed)} itself is broken.`, { cause: error }));
    });
    give();
  });
}

/**
 * One file with all that a simulation needs; with a mutant, one rule of it broken.
 *
 * @param {string} outfile
 * @param {SourceMutant | undefined} mutant
 */
async function bundle(outfile, mutant) {
  let isBroken = mutant === undefined;
  await build({
    entryPoints: [join(root, "test/simulator/worker.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    logLevel: "error",
    tsconfig: join(root, "tsconfig.json"),
    plugins: [
      {
        name: "mutant",
        setup(setup) {
          if (mutant === undefined) return;
          setup.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            if (relative(root, path) !== mutant.file) return undefined;
            const text = await readFile(path, "utf8");
            if (text.split(mutant.find).length !== 2) {
              throw new Error(`"${mutant.name}": its text does not stand exactly once in ${mutant.file}.`);
            }
            isBroken = true;
            return { contents: text.replace(mutant.find, () => mutant.replace), loader: "ts" };
          });
        },
      },
    ],
  });
  if (!isBroken)
    throw new Error(`"${mutant?.name ?? ""}": ${mutant?.file ?? ""} is not part of the simulation.`);
}
