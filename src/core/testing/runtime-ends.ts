import assert from "node:assert/strict";
import { eventually, later, rejectsWith, within } from "./conformance.js";
import { drain, runtimeCase, type RuntimeCase } from "./runtime-harness.js";

/** What a runtime promises of an instance's end: by itself, by `stop`, by `remove`, over its memory. */
export const endCases: readonly RuntimeCase[] = [
  runtimeCase("an end by itself is told with its code and the last lines of the log", async (bench) => {
    const spec = await bench.started();
    await bench.ask(spec, "/exit");
    const { exit } = await bench.untilExited(spec);
    assert.deepEqual([exit?.cause, exit?.code, exit?.signal], ["exited", 3, null]);
    assert.deepEqual(exit?.logTail, ["listening"]);
    assert.match(exit.message, /code 3/);
  }),

  runtimeCase(
    "an instance over its memory is ended with that cause, and its limit is told",
    async (bench) => {
      const spec = await bench.spec({ command: ["node", "eager.js"], memoryMb: 96 });
      await bench.start(spec);
      const { exit } = await bench.untilExited(spec);
      assert.equal(exit?.cause, "memory");
      assert.match(exit.message, /96 MB/);
    },
  ),

  runtimeCase(
    "stop asks first, lets what ends within its grace do so, and then the port is free",
    async (bench) => {
      const spec = await bench.started({ env: { TERM_TAKES: "200" } });
      await bench.stop(spec, 60_000);
      await bench.expectSilence(spec);
      const [stopped] = await bench.list();
      assert.equal(stopped?.exit?.cause, "stopped");
      assert.deepEqual(stopped.exit.logTail, ["listening", "asked to end", "done"]);
    },
  ),

  runtimeCase("stop ends what does not end by itself, and not before the grace is over", async (bench) => {
    const spec = await bench.started({ env: { TERM_TAKES: "for ever" } });
    const since = performance.now();
    await bench.stop(spec, 300);
    const tookMs = performance.now() - since;
    await bench.expectSilence(spec);
    assert.ok(tookMs >= 295, `ended after ${String(tookMs)} ms, before its grace was over`);
    assert.equal((await bench.untilExited(spec)).exit?.cause, "stopped");
  }),

  runtimeCase("stop ends all processes, also those that went their own way", async (bench) => {
    const watchman = await bench.watchman();
    const spec = await bench.started({ env: { WATCHMAN: `${watchman.host} ${String(watchman.port)}` } });
    await watchman.came();
    await bench.stop(spec, 100);
    await watchman.isGone();
  }),

  runtimeCase("remove ends all processes at once and forgets the instance", async (bench) => {
    const watchman = await bench.watchman();
    const env = { WATCHMAN: `${watchman.host} ${String(watchman.port)}`, TERM_TAKES: "for ever" };
    const spec = await bench.started({ env });
    await watchman.came();
    await bench.remove(spec);
    assert.deepEqual(await bench.list(), []);
    await bench.expectSilence(spec);
    await watchman.isGone();
    assert.equal(await bench.runtime.stats(spec.instanceId), null);
    await rejectsWith("DINP_NOT_FOUND", () => drain(bench.runtime.logs(spec.instanceId)));
  }),

  runtimeCase("an instance that has ended can be removed", async (bench) => {
    const [ended, kept] = [await bench.spec({ command: ["no-such-program"] }), await bench.started()];
    await bench.start(ended);
    await bench.remove(ended);
    assert.deepEqual(
      (await bench.list()).map(({ instanceId }) => instanceId),
      [kept.instanceId],
    );
  }),

  runtimeCase("stop and remove of an unknown id do nothing", async (bench) => {
    const spec = await bench.started();
    await within(bench.runtime.stop("nobody", { graceMs: 0 }), "a stop of nothing");
    await within(bench.runtime.remove("nobody"), "a removal of nothing");
    await bench.answer(spec);
    assert.equal((await bench.list()).length, 1);
  }),

  runtimeCase(
    "an instance that has ended can be stopped again, and its end stays the same",
    async (bench) => {
      const spec = await bench.started();
      await bench.ask(spec, "/exit");
      const ended = await bench.untilExited(spec);
      await bench.stop(spec, 1_000);
      assert.deepEqual(await bench.list(), [ended]);
    },
  ),

  runtimeCase("a start, stops and removals of one instance may run together", async (bench) => {
    const spec = await bench.spec({ env: { TERM_TAKES: "for ever" } });
    const { runtime } = bench;
    await within(
      Promise.all([
        runtime.start(spec),
        runtime.stop(spec.instanceId, { graceMs: 600_000 }),
        runtime.stop(spec.instanceId, { graceMs: 900_000 }),
        runtime.remove(spec.instanceId),
        runtime.remove(spec.instanceId),
      ]),
      "calls at the same time",
    );
    assert.deepEqual(await bench.list(), []);
    await bench.expectSilence(spec);
  }),

  runtimeCase("an abort ends the wait for a stop", async (bench) => {
    const spec = await bench.started({ env: { TERM_TAKES: "for ever" } });
    const abort = new AbortController();
    const options = { graceMs: 600_000, signal: abort.signal };
    const stopping = later(bench.runtime.stop(spec.instanceId, options));
    const seen: string[] = [];
    await eventually(async () => {
      seen.length = 0;
      for await (const { text } of bench.runtime.logs(spec.instanceId)) seen.push(text);
      return seen.includes("asked to end");
    }, "the instance to be asked");
    abort.abort();
    await rejectsWith("DINP_ABORTED", () => stopping);
    await bench.remove(spec);
  }),
];
