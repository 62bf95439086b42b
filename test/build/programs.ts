import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";

const isCi = (process.env["CI"] ?? "") !== "";

/** Those of the programs (a name on the `PATH`, or the absolute path of a file) that are not on this machine. */
export function missingPrograms(programs: readonly string[]): readonly string[] {
  const folders = (process.env["PATH"] ?? "").split(":");
  return programs.filter((program) => {
    const places = program.startsWith("/") ? [program] : folders.map((folder) => join(folder, program));
    return !places.some((place) => existsSync(place));
  });
}

/**
 * Tests that need programs which a machine may lack: left out, with a name that says why, unless this is a continuous
 * integration (`CI` is set), where a program that is missing is a failure. `scripts/ci-packages` installs them all.
 */
export function describeWith(programs: readonly string[], name: string, tests: () => void): void {
  const missing = missingPrograms(programs).join(", ");
  if (missing === "") describe(name, tests);
  else if (isCi) {
    describe(name, () => {
      it("has what it needs", () => {
        throw new Error(`Missing on this machine: ${missing}. Run scripts/ci-packages as root.`);
      });
    });
  } else describe.skip(`${name} (left out: this machine has no ${missing}; see scripts/ci-packages)`, tests);
}
