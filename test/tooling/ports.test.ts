import { expect, test } from "vitest";
import { freePort } from "../../scripts/lib/services/ports.mjs";
import { runProgram } from "../e2e/harness.js";

test("a port that a process was given is given to no other, also while nothing listens on it", async () => {
  const port = await freePort();
  // Another process happens upon it each time that it tries one.
  const chance = (port - 12_000 + 0.5) / 8_000;
  const program = `Math.random = () => ${String(chance)};
    const { freePort } = await import("./scripts/lib/services/ports.mjs");
    console.log(await freePort());`;
  const other = await runProgram(process.execPath, ["--input-type=module", "-e", program]);
  expect(other.code).not.toBe(0);
  expect(other.stderr).toContain("No port is free");
});
