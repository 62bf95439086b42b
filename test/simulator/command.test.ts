import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createMemoryRouteTable, createMemoryStateStore } from "@dinp/core/memory";
import { simulate } from "@dinp/core/testing";
import { expect, test, vi } from "vitest";

// For machines that have a lot else to do.
vi.setConfig({ testTimeout: 300_000 });

const scripts = new URL("../../scripts/", import.meta.url);
const script = fileURLToPath(new URL("sim.mjs", scripts));

interface Run {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

function runNode(args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? "killed"), stdout, stderr });
    });
  });
}

/** `npm run sim -- ARGS`, in a process of its own. */
function sim(...args: readonly string[]): Promise<Run> {
  return runNode([script, ...args, "--jobs", "1"]);
}

/** What the command calls, called with other mutants than the command does; its result becomes the exit code. */
function evaluate(part: "simulator-check" | "simulator-hunt", call: string): Promise<Run> {
  const program = `
    import { check, hunt } from ${JSON.stringify(new URL(`lib/${part}.mjs`, scripts).href)};
    import { sourceMutants } from ${JSON.stringify(new URL("lib/simulator-mutants.mjs", scripts).href)};
    const range = { from: 1, seeds: 1, jobs: 1 };
    process.exitCode = await ${call};
  `.replace("check, hunt", part === "simulator-check" ? "check" : "hunt");
  return runNode(["--input-type=module", "-e", program]);
}

test("a world in another process is the same world, and its faults are counted", async () => {
  const seed = 21;
  const backends = { createStateStore: createMemoryStateStore, createRouteTable: createMemoryRouteTable };
  const [here, there] = await Promise.all([
    simulate({ seed, backends }),
    sim("--seeds", "1", "--from", String(seed), "--trace"),
  ]);
  expect(here.violation).toBeNull();
  expect(there.code).toBe(0);
  expect(there.stdout).toContain(
    `seed ${String(seed)}: all promises kept, fingerprint ${here.fingerprint}\n`,
  );
  expect(there.stdout).toContain(here.lastLines.join("\n"));
  expect(there.stdout).toMatch(/call store\.commit +\d+ +1\n/);
  expect(there.stdout).toContain("1 worlds kept every promise, 0 did not\n");
});

test("a broken rule is found, and its world replays to the same end", async () => {
  const mutant = ["--mutant", "what the server has not named is stopped"];
  const found = await sim(...mutant, "--seeds", "5");
  const [, seed = "", violation = ""] =
    /seed (\d+) breaks (no-stop-from-an-unfresh-read: .*), \d+ s\n/.exec(found.stdout) ?? [];
  expect(violation).not.toBe("");
  expect(found.stdout).toContain("1 of 1 mutants found");
  expect(found.code).toBe(0);
  const again = await sim(...mutant, "--seeds", "1", "--from", seed, "--trace");
  expect(again.stdout).toContain(` VIOLATION of ${violation}\n`);
  expect(again.stdout).toContain(`seed ${seed} breaks ${violation}, `);
});

test("a world that breaks a promise fails the run and says how to see it again", async () => {
  const { code, stdout } = await evaluate(
    "simulator-check",
    "check(range, false, sourceMutants.find(({ name }) => name === 'what the server has not named is stopped'))",
  );
  expect(stdout).toMatch(/seed 1 breaks no-stop-from-an-unfresh-read after [\d.]+ s: /);
  expect(stdout).toContain("Replay it with: npm run sim -- --seeds 1 --from 1 --trace");
  expect(stdout).toContain("0 worlds kept every promise, 1 did not: seeds 1\n");
  expect(code).toBe(1);
});

test("a broken rule that no world notices is a mutant missed", async () => {
  const { code, stdout } = await evaluate(
    "simulator-hunt",
    "hunt(range, [{ ...sourceMutants[0], replace: sourceMutants[0].find }], false)",
  );
  expect(stdout).toContain("MISSED plan: an app of which nothing runs is removed");
  expect(stdout).toContain("0 of 1 mutants found");
  expect(code).toBe(1);
});

test.for([
  ["--seeds", "0"],
  ["--from", "-1"],
  ["--seeds", "1e3"],
  ["--mutant", "no such rule"],
  ["--speed"],
  ["7"],
])("wrong usage: %s", async (args) => {
  const { code, stdout, stderr } = await sim(...args);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(args.at(-1)?.replace(/^-1$/, "--from"));
  expect(stderr).toContain("Usage: npm run sim");
});
