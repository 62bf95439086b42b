import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { check } from "./lib/simulator-check.mjs";
import { hunt } from "./lib/simulator-hunt.mjs";
import { sourceMutants } from "./lib/simulator-mutants.mjs";
import { runMain, StepFailed } from "./lib/step.mjs";

const USAGE = `Usage: npm run sim -- [options]
Runs the platform's loops and engines in simulated worlds full of faults; each seed is one world, replayed exactly.
  --seeds N    how many worlds (default 100)
  --from N     the first seed (default 1)
  --jobs N     how many at a time (default: one per processor)
  --trace      print everything that happens (use it with --seeds 1)
  --mutants    break one rule of the platform at a time: each must be found within the seeds (default 200)
  --mutant T   of these, only those whose names contain T; with --trace, what happens in the world that finds it
Exit code: 0 every promise was kept (every mutant found), 1 not, 2 wrong usage.`;

await runMain(async () => {
  const values = parse();
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const isHunt = values.mutants || values.mutant !== undefined;
  const range = {
    from: count("--from", values.from),
    seeds: count("--seeds", values.seeds ?? (isHunt ? "200" : "100")),
    jobs: count("--jobs", values.jobs),
  };
  if (!isHunt) return check(range, values.trace);
  const mutants = sourceMutants.filter(({ name }) => name.includes(values.mutant ?? ""));
  if (mutants.length === 0) throw usage(`No mutant's name contains "${values.mutant ?? ""}".`);
  return hunt(range, mutants, values.trace);
});

function parse() {
  try {
    return parseArgs({
      options: {
        seeds: { type: "string" },
        from: { type: "string", default: "1" },
        jobs: { type: "string", default: String(availableParallelism()) },
        trace: { type: "boolean", default: false },
        mutants: { type: "boolean", default: false },
        mutant: { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

/**
 * @param {string} name
 * @param {string} text
 */
function count(name, text) {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw usage(`${name} must be a whole number from 1; got "${text}".`);
}

/** @param {string} message */
function usage(message) {
  return new StepFailed(`${message}\n${USAGE}`, 2);
}
