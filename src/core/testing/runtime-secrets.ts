import assert from "node:assert/strict";
import type { InstanceSpec } from "../ports/runtime.js";
import { exec, node, portraitOf, run } from "./runtime-commands.js";
import { runtimeCase, type RuntimeBench, type RuntimeCase } from "./runtime-harness.js";

const VALUE = 'hidden "$HOME"\nsecond line';
const told = { secrets: { HIDDEN: VALUE } };

function withSecret(bench: RuntimeBench): Promise<InstanceSpec> {
  return bench.started({ env: { HIDDEN: VALUE, NAME: "value" }, secretNames: ["HIDDEN"] });
}

/** What a runtime promises of the secrets in an environment. */
export const secretCases: readonly RuntimeCase[] = [
  runtimeCase(
    "secrets: an instance has them beside its other variables, and no list tells them",
    async (bench) => {
      const { env } = await bench.answer(await withSecret(bench));
      assert.deepEqual([env["HIDDEN"], env["NAME"]], [VALUE, "value"]);
      assert.ok(!JSON.stringify(await bench.list()).includes("hidden"), "A list tells a secret.");
    },
  ),

  runtimeCase(
    "secrets: a command beside an instance has them, also when the runtime was opened anew meanwhile",
    async (bench) => {
      const spec = await withSecret(bench);
      for (const isAnew of [false, true]) {
        if (isAnew) await bench.reopen();
        const { portrait } = await portraitOf(exec(bench, spec, node("about-itself.js"), told));
        assert.deepEqual([portrait.env["HIDDEN"], portrait.env["NAME"]], [VALUE, "value"]);
      }
    },
  ),

  runtimeCase("secrets: a one-off has them", async (bench) => {
    const spec = await bench.spec({ env: { HIDDEN: VALUE }, secretNames: ["HIDDEN"] });
    const { portrait } = await portraitOf(run(bench, spec, node("about-itself.js")));
    assert.equal(portrait.env["HIDDEN"], VALUE);
  }),
];
