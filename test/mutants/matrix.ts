import type { ConformanceCase } from "@dinp/core/testing";

/** An adapter that breaks one sentence of its port's contract on purpose. */
export interface Mutant<Port> {
  readonly name: string;
  /** The case that is named for what it breaks, and must fail. */
  readonly caughtBy: string;
  /** Wraps a good adapter. */
  readonly mutate: (port: Port) => Port;
}

export interface MutantRow {
  readonly mutant: string;
  readonly caughtBy: string;
  /** Every case that fails, in the suite's order. */
  readonly failing: readonly string[];
}

export interface MatrixResult {
  readonly port: string;
  readonly cases: readonly ConformanceCase[];
  readonly rows: readonly MutantRow[];
}

interface Run extends ConformanceCase {
  /** Where the case is noted when it fails. */
  readonly failed: Set<string>;
  /** Whether it is the one that the mutant is to be caught by. */
  readonly isNamed: boolean;
}

/**
 * Runs every case against every mutant, `width` of all these runs at a time: those that wait cost little together. What
 * fails is run again among fewer, so that a busy machine is not taken for a bite; and where it is not the case that the mutant names,
 * once more.
 */
export async function runMutants<Port>(options: {
  readonly port: string;
  /** The suite over adapters that `mutate` has wrapped. */
  readonly suite: (mutate: (port: Port) => Port) => readonly ConformanceCase[];
  readonly mutants: readonly Mutant<Port>[];
  readonly width?: number;
}): Promise<MatrixResult> {
  const { port, suite, mutants, width = 8 } = options;
  const rows = mutants.map(({ name, caughtBy, mutate }) => ({
    mutant: name,
    caughtBy,
    cases: suite(mutate),
    failed: new Set<string>(),
  }));
  const all = rows.flatMap(({ cases, failed, caughtBy }) =>
    cases.map((each) => ({ ...each, failed, isNamed: each.name === caughtBy })),
  );
  const fewer = Math.ceil(width / 3);
  const twice = await failuresOf(await failuresOf(all, width), fewer);
  const others = await failuresOf(
    twice.filter(({ isNamed }) => !isNamed),
    fewer,
  );
  for (const { name, failed } of [...twice.filter(({ isNamed }) => isNamed), ...others]) failed.add(name);
  return {
    port,
    cases: suite((adapter) => adapter),
    rows: rows.map(({ mutant, caughtBy, cases, failed }) => ({
      mutant,
      caughtBy,
      failing: cases.map(({ name }) => name).filter((name) => failed.has(name)),
    })),
  };
}

async function failuresOf(runs: readonly Run[], width: number): Promise<readonly Run[]> {
  const waiting = [...runs];
  const failing: Run[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      try {
        await next.run();
      } catch {
        failing.push(next);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return failing;
}

/**
 * What is wrong with a suite, in sentences: a mutant that lives, one that another case than its own catches, a case
 * without which no mutant would live and that does not say why it stays.
 */
export function weaknesses({ cases, rows }: MatrixResult): readonly string[] {
  const names = new Set(cases.map(({ name }) => name));
  const needed = new Set(rows.flatMap(({ failing }) => (failing.length === 1 ? failing : [])));
  return [
    ...rows.flatMap(({ mutant, caughtBy, failing }) => {
      if (!names.has(caughtBy)) return [`"${mutant}" names a case that does not exist: "${caughtBy}".`];
      if (failing.length === 0) return [`"${mutant}" lives: no case fails.`];
      if (!failing.includes(caughtBy)) return [`"${mutant}" is not caught by "${caughtBy}".`];
      return [];
    }),
    ...cases.flatMap(({ name, stays }) => {
      if (needed.has(name) || stays !== undefined) return [];
      return [
        `Without the case "${name}" every mutant would still be caught, and it does not say why it stays.`,
      ];
    }),
  ];
}

/** The table of mutants and the cases that catch them, for people. */
export function formatMatrix({ port, cases, rows }: MatrixResult): string {
  const lines = rows.map(({ mutant, caughtBy, failing }) => {
    const others = failing.filter((name) => name !== caughtBy).length;
    const also = others === 0 ? "only" : `and ${String(others)} more`;
    return `  ${mutant}\n      caught by: ${caughtBy} (${also})`;
  });
  const kept = cases.flatMap(({ name, stays }) =>
    stays === undefined ? [] : [`  ${name}\n      stays: ${stays}`],
  );
  const head = `${port}: ${String(rows.length)} mutants, ${String(cases.length)} cases`;
  return [head, ...lines, ...(kept.length === 0 ? [] : ["  cases that no mutant needs:", ...kept])].join(
    "\n",
  );
}
