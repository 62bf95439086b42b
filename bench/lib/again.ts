import { execFileSync } from "node:child_process";
import { bareEnvironment } from "./environment.js";

/** Runs the bench that is running again in a fresh process, with these words, which does one piece of work and prints what it cost. */
export function runAgain(...words: readonly string[]): string {
  const [, file = ""] = process.argv;
  return execFileSync(process.execPath, ["--expose-gc", file, ...words], {
    encoding: "utf8",
    env: bareEnvironment(),
    maxBuffer: 2 ** 24,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** The number after `--rounds`. */
export function roundsOf(argv: readonly string[], otherwise: number): number {
  const at = argv.indexOf("--rounds");
  const rounds = at === -1 ? otherwise : Number(argv[at + 1]);
  if (Number.isInteger(rounds) && rounds > 0) return rounds;
  throw new Error("--rounds must be a whole number above 0");
}
