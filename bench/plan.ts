// npm run bench:plan [-- --full | --nodes N --apps N --instances N] [--check]
import { runAgain } from "./lib/again.js";
import { runBench } from "./lib/bench.js";
import { type Measured, measurePlanning } from "./plan/measure.js";
import { topFunctions } from "./plan/profile.js";
import { type Sizes, sizesOf } from "./plan/sizes.js";

const argv = process.argv.slice(2);
const [role = "", ...rest] = argv;

if (role === "measure") {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error("this needs --expose-gc");
  print(
    measurePlanning(sizesOf(rest), () => {
      collect();
    }),
  );
} else if (role === "profile") {
  const steps = (): void => {
    measurePlanning(sizesOf(rest), () => undefined);
  };
  print(await topFunctions(steps, 8));
} else {
  const sizes = sizesOf(argv);
  await runBench(
    {
      name: "plan",
      title:
        "Planning: first, without a change, after one app's change, after a node's loss; in a process of its own",
      goals: {},
      run: (recorder) => {
        const { nodes, apps, instances } = sizes;
        recorder.note(`${String(nodes)} nodes, ${String(apps)} apps, ${String(instances)} instances`);
        const measured: Measured = JSON.parse(child("measure", sizes));
        for (const [name, [value, unit]] of Object.entries(measured)) recorder.measure(name, value, unit);
        const profile: readonly string[] = JSON.parse(child("profile", sizes));
        recorder.note(`most time of all steps is spent in: ${profile.join(", ")}`);
        return Promise.resolve();
      },
    },
    argv,
  );
}

/** In a fresh process: its memory is the plan's alone. */
function child(as: string, { nodes, apps, instances }: Sizes): string {
  const sizes = ["--nodes", String(nodes), "--apps", String(apps), "--instances", String(instances)];
  return runAgain(as, ...sizes);
}

function print(value: unknown): void {
  process.stdout.write(JSON.stringify(value));
}
