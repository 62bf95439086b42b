import type { ConformanceCase } from "@dinp/core/testing";
import { describe, expect, it } from "vitest";
import { formatMatrix, runMutants, weaknesses, type Mutant } from "./matrix.js";

/** The tests of one port's matrix: the good adapter passes, every mutant is caught by its case, every case is needed. */
export function describeMatrix<Port>(options: {
  readonly port: string;
  /** With a short bound for the waits of a case: a mutant that makes one wait costs that much. */
  readonly suite: (mutate: (port: Port) => Port) => readonly ConformanceCase[];
  /** The same over the good adapter, with the bound that a user gets. */
  readonly unbroken: readonly ConformanceCase[];
  readonly mutants: readonly Mutant<Port>[];
  readonly width?: number;
}): void {
  const { port, suite, unbroken, mutants, width } = options;
  describe(`${port}: the adapter that the mutants break`, () => {
    for (const { name, run } of unbroken) it(name, run);
  });
  describe(`${port}: mutants`, () => {
    it("are at least eight, each of a name of its own", () => {
      expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
      expect(mutants.length).toBeGreaterThanOrEqual(8);
    });

    it("are caught, each by the case named for it, and no case is idle", { timeout: 900_000 }, async () => {
      const matrix = await runMutants({ port, suite, mutants, ...(width === undefined ? {} : { width }) });
      process.stdout.write(`\n${formatMatrix(matrix)}\n`);
      expect(weaknesses(matrix)).toEqual([]);
    });
  });
}
