import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";

/** A bound that a measured value must keep. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number };

export interface Measurement {
  readonly value: number;
  /** `ms`, `MiB`, `x` (a ratio) … */
  readonly unit: string;
}

/** What a bench hands its results to. */
export interface Recorder {
  /** Records a value under its name, once. */
  measure(name: string, value: number, unit: string): void;
  /** A fact about what was measured, such as how many files there were; shown above the table. */
  note(text: string): void;
}

export interface Bench {
  /** Names the file of results: `bench/results/NAME.json`. */
  readonly name: string;
  /** What is measured, in one sentence. */
  readonly title: string;
  /** By the measurement that it bounds. */
  readonly goals: Readonly<Record<string, Goal>>;
  readonly run: (recorder: Recorder) => Promise<void>;
}

/**
 * Runs a bench: prints its goals, its notes and a table, and writes `bench/results/NAME.json`. With `--check` among the
 * arguments the exit code is 1 when a goal was missed or not measured, and each such goal is named. To be called from
 * the project's own folder, as `scripts/bench.mjs` does.
 */
export async function runBench(bench: Bench, argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  const measurements = new Map<string, Measurement>();
  const notes: string[] = [];
  console.log(bench.title);
  for (const [name, goal] of Object.entries(bench.goals)) console.log(`  goal: ${name} ${boundOf(goal)}`);
  await bench.run({
    measure: (name, value, unit) => {
      if (measurements.has(name)) throw new TypeError(`${name} was measured twice.`);
      measurements.set(name, { value, unit });
    },
    note: (text) => {
      notes.push(text);
      console.log(`  ${text}`);
    },
  });
  console.log(`\n${table(bench.goals, measurements).join("\n")}\n`);
  const missed = missedGoals(bench.goals, measurements);
  writeResults(bench, measurements, notes, missed);
  for (const miss of missed) console.error(`missed: ${miss}`);
  if (argv.includes("--check") && missed.length > 0) process.exitCode = 1;
}

/** Each goal that was not kept, as a sentence without its end. */
export function missedGoals(
  goals: Readonly<Record<string, Goal>>,
  measurements: ReadonlyMap<string, Measurement>,
): readonly string[] {
  return Object.entries(goals).flatMap(([name, goal]) => {
    const measured = measurements.get(name);
    if (measured === undefined) return [`${name} was not measured (goal: ${boundOf(goal)})`];
    const { value, unit } = measured;
    return isKept(goal, value) ? [] : [`${name} is ${shown(value)} ${unit} (goal: ${boundOf(goal)})`];
  });
}

function isKept(goal: Goal, value: number): boolean {
  return "atMost" in goal ? value <= goal.atMost : value >= goal.atLeast;
}

function boundOf(goal: Goal): string {
  return "atMost" in goal ? `≤ ${String(goal.atMost)}` : `≥ ${String(goal.atLeast)}`;
}

function table(
  goals: Readonly<Record<string, Goal>>,
  measurements: ReadonlyMap<string, Measurement>,
): readonly string[] {
  const rows = [...measurements].map(([name, { value, unit }]) => {
    const goal = goals[name];
    const verdict = goal === undefined ? "" : `${boundOf(goal)} ${isKept(goal, value) ? "ok" : "MISSED"}`;
    return { name, value: shown(value), unit, verdict };
  });
  const nameWidth = Math.max(0, ...rows.map(({ name }) => name.length));
  const valueWidth = Math.max(0, ...rows.map(({ value }) => value.length));
  return rows.map(({ name, value, unit, verdict }) =>
    `${name.padEnd(nameWidth)}  ${value.padStart(valueWidth)} ${unit.padEnd(6)} ${verdict}`.trimEnd(),
  );
}

function shown(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : value.toFixed(2);
}

function writeResults(
  bench: Bench,
  measurements: ReadonlyMap<string, Measurement>,
  notes: readonly string[],
  missed: readonly string[],
): void {
  const folder = join("bench", "results");
  mkdirSync(folder, { recursive: true });
  const machine = {
    node: process.version,
    processors: cpus().length,
    model: cpus()[0]?.model ?? "unknown",
    memoryMb: Math.round(totalmem() / 1024 ** 2),
  };
  const results = {
    name: bench.name,
    at: new Date().toISOString(),
    machine,
    goals: bench.goals,
    measurements: Object.fromEntries(measurements),
    notes,
    missed,
  };
  writeFileSync(join(folder, `${bench.name}.json`), `${JSON.stringify(results, null, 2)}\n`);
}

/** The middle value; the lower one of the two in the middle. `NaN` of nothing. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? NaN;
}

/** The value that this share of the values is not above; `NaN` of nothing. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? NaN;
}

/** How long the work took, in milliseconds, and what it gave. */
export async function timed<T>(
  work: () => Promise<T> | T,
): Promise<{ readonly ms: number; readonly value: T }> {
  const start = performance.now();
  const value = await work();
  return { ms: performance.now() - start, value };
}
