import assert from "node:assert/strict";
import { later, rejectsWith } from "./conformance.js";
import { exec, node, outcome, parent, portraitOf, run, SOME_INPUT, textOf } from "./runtime-commands.js";
import { runtimeCase, type RuntimeCase } from "./runtime-harness.js";
import type { Leavings } from "./runtime-programs.js";

/** What a runtime promises of one-offs. */
export const runCases: readonly RuntimeCase[] = [
  runtimeCase("run: a one-off has its release's environment, and no port", async (bench) => {
    const spec = await bench.started({ env: { NAME: "value", PORT: "1" } });
    const instance = await bench.answer(spec);
    const { portrait, err, exit } = await portraitOf(run(bench, spec, node("about-itself.js", "$HOME")));
    assert.deepEqual([exit.code, exit.message, err], [7, null, "to the other stream"]);
    assert.deepEqual([portrait.env["NAME"], portrait.cwd], ["value", instance.cwd]);
    assert.equal(portrait.env["PORT"], undefined);
    assert.notEqual(portrait.env["DINP_INSTANCE_ID"], spec.instanceId);
    assert.deepEqual(portrait.args, ["$HOME"]);
    assert.equal(await textOf(run(bench, spec, node("upper-case.js"), { stdin: SOME_INPUT })), "GO");
  }),

  runtimeCase(
    "run: it runs the command that it is given, without an instance and unlisted",
    async (bench) => {
      const spec = await bench.spec();
      const watchman = await bench.watchman();
      const running = later(outcome(run(bench, spec, parent(watchman))));
      await watchman.came();
      assert.deepEqual(await bench.list(), []);
      await watchman.speak();
      assert.equal((await running).exit.code, 4);
      await bench.expectSilence(spec);
      await watchman.isGone();
    },
  ),

  runtimeCase("run: its folders are its own, and gone afterwards", async (bench) => {
    const spec = await bench.started();
    const leave = async (instanceId: string): Promise<Leavings> =>
      JSON.parse(await textOf(run(bench, spec, node("leave.js"), { parts: { instanceId } }))) as Leavings;
    const leavings = await Promise.all([leave("once-1"), leave("once-2")]);
    leavings.push(await leave("once-3"));
    for (const { paths, found } of leavings) {
      assert.equal(paths.length, 2);
      assert.deepEqual(found, [], "Another one-off's file is in its folders.");
    }
    // Where the instance has folders of these names, they are its own.
    const look = exec(bench, spec, node("absent.js", ...leavings.flatMap(({ paths }) => paths)));
    assert.equal((await outcome(look)).exit.code, 0, "What it left is still there.");
  }),

  runtimeCase("run: an abort ends all of its processes", async (bench) => {
    const spec = await bench.spec();
    const watchman = await bench.watchman();
    const abort = new AbortController();
    const events = run(bench, spec, parent(watchman), { signal: abort.signal });
    const reading = later(rejectsWith("DINP_ABORTED", () => outcome(events)));
    await watchman.came();
    abort.abort();
    await reading;
    await watchman.isGone();
  }),

  runtimeCase("run: over its memory it is ended, and that is said", async (bench) => {
    const spec = await bench.spec({ memoryMb: 96 });
    const { exit } = await outcome(run(bench, spec, node("eager.js")));
    assert.notEqual(exit.code, 0);
    assert.match(exit.message ?? "", /96 MB/);
  }),

  runtimeCase("run: an image that is not prepared is refused", async (bench) => {
    const spec = await bench.spec({ image: { ...bench.image, digest: `sha256:${"0".repeat(64)}` } });
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => outcome(run(bench, spec, node("about-itself.js"))));
  }),

  runtimeCase(
    "run: a program that is not there is named, a command that is none is refused",
    async (bench) => {
      const spec = await bench.spec();
      const missing = ["no-such-program"];
      const error = await rejectsWith("DINP_PROGRAM_MISSING", () => outcome(run(bench, spec, missing)));
      assert.match(error.message, /no-such-program/);
      await rejectsWith("DINP_INVALID", () => outcome(run(bench, spec, ["node", "with\0nul"])));
    },
  ),
];
