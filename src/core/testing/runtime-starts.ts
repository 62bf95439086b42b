import assert from "node:assert/strict";
import { later, rejectsWith, within } from "./conformance.js";
import { runtimeCase, type RuntimeCase } from "./runtime-harness.js";

/** What a runtime promises of its node and of `start`. */
export const startCases: readonly RuntimeCase[] = [
  runtimeCase("the capacity is that of a node on which the image's programs run", async ({ runtime }) => {
    const capacity = await within(runtime.capacity(), "the capacity");
    assert.ok(Number.isInteger(capacity.memoryMb) && capacity.memoryMb >= 256, "memory in megabytes");
    assert.ok(Number.isInteger(capacity.cpuMillis) && capacity.cpuMillis >= 100, "processors in thousandths");
    assert.notEqual(capacity.runtime, "");
    assert.notEqual(capacity.memoryLimit, "");
    if (capacity.programs !== null) assert.ok(capacity.programs.includes("node"), "node is a program here");
  }),

  runtimeCase("an instance answers on its port with its environment, and is listed", async (bench) => {
    const odd = 'two\nlines, "quotes", $HOME and ünïcode';
    const spec = await bench.spec({ env: { NAME: odd, EMPTY: "" } });
    const started = await bench.start(spec);
    const { instanceId, appId, releaseId, port } = spec;
    assert.deepEqual(
      { ...started, host: "", startedAt: 0 },
      { instanceId, appId, releaseId, port, state: "running", exit: null, host: "", startedAt: 0 },
    );
    const { env } = await bench.answer(spec);
    assert.deepEqual([env["NAME"], env["EMPTY"]], [odd, ""]);
    assert.equal(env["DINP_INSTANCE_ID"], spec.instanceId);
    for (const name of ["PATH", "HOME", "TMPDIR"]) assert.ok((env[name] ?? "") !== "", name);
    assert.deepEqual(await bench.list(), [started]);
  }),

  runtimeCase("the platform's variables win over the app's", async (bench) => {
    const wrong = { PORT: "1", HOME: "/not-this", TMPDIR: "/not-this", DINP_INSTANCE_ID: "i-other" };
    const spec = await bench.started({ env: { ...wrong, PATH: "/not-this" } });
    const { env } = await bench.answer(spec);
    assert.deepEqual([env["PORT"], env["DINP_INSTANCE_ID"]], [String(spec.port), spec.instanceId]);
    for (const name of ["PATH", "HOME", "TMPDIR"]) assert.notEqual(env[name], "/not-this", name);
  }),

  runtimeCase("starts of one instance at the same time and later ones make it run once", async (bench) => {
    const spec = await bench.spec();
    await Promise.all([bench.start(spec), bench.start(spec), bench.start(spec)]);
    const { token } = await bench.answer(spec);
    const again = await bench.start(spec);
    assert.equal(again.state, "running");
    assert.equal((await bench.answer(spec)).token, token);
    assert.deepEqual(await bench.list(), [again]);
  }),

  runtimeCase("different instances start, and end, at the same time", async (bench) => {
    const specs = [await bench.spec(), await bench.spec(), await bench.spec()];
    await Promise.all(specs.map((spec) => bench.start(spec)));
    const tokens = await Promise.all(specs.map(async (spec) => (await bench.answer(spec)).token));
    assert.equal(new Set(tokens).size, 3);
    await Promise.all(specs.map((spec) => bench.stop(spec, 10_000)));
    const states = (await bench.list()).map(({ state }) => state);
    assert.deepEqual(states, ["exited", "exited", "exited"]);
  }),

  runtimeCase("an instance id runs once: a start after its end gives the end", async (bench) => {
    const spec = await bench.started();
    await bench.stop(spec, 10_000);
    const [ended] = await bench.list();
    const again = await bench.start(spec);
    assert.equal(again.state, "exited");
    assert.deepEqual(again, ended);
    await bench.expectSilence(spec);
  }),

  runtimeCase(
    "a command that cannot be executed gives an exited instance that names the program",
    async (bench) => {
      const spec = await bench.spec({ command: ["no-such-program", "x"] });
      const started = await bench.start(spec);
      assert.equal(started.state, "exited");
      assert.equal(started.exit?.cause, "start");
      assert.match(started.exit.message, /no-such-program/);
      assert.deepEqual(await bench.list(), [started]);
    },
  ),

  runtimeCase("an instance whose port is taken ends, and the one that has it goes on", async (bench) => {
    const holder = await bench.started();
    const late = await bench.spec({ port: holder.port });
    await bench.start(late);
    const { exit } = await bench.untilExited(late);
    assert.ok(exit?.cause === "start" || exit?.cause === "exited", exit?.cause);
    assert.equal((await bench.answer(holder)).env["DINP_INSTANCE_ID"], holder.instanceId);
  }),

  runtimeCase("a start that is aborted before it began starts nothing", async (bench) => {
    const spec = await bench.spec();
    const signal = AbortSignal.abort();
    await rejectsWith("DINP_ABORTED", () => bench.runtime.start(spec, { signal }));
    assert.deepEqual(await bench.list(), []);
    await bench.expectSilence(spec);
  }),

  runtimeCase("a start that is aborted amid it says so, or has started", async (bench) => {
    const spec = await bench.spec();
    const abort = new AbortController();
    const starting = later(bench.runtime.start(spec, { signal: abort.signal }));
    abort.abort();
    const outcome = await within(
      starting.catch(() => null),
      "the end of a start",
    );
    if (outcome === null) await rejectsWith("DINP_ABORTED", () => starting);
    // Whichever it was: the id has run at most once.
    await bench.start(spec);
    const { token } = await bench.answer(spec);
    await bench.start(spec);
    assert.equal((await bench.answer(spec)).token, token);
    assert.equal((await bench.list()).length, 1);
  }),
];
