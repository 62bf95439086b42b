import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { later, rejectsWith, within } from "./conformance.js";
import { exec, node, outcome, parent, portraitOf, run, textOf } from "./runtime-commands.js";
import { runtimeCase, type RuntimeCase } from "./runtime-harness.js";

/** What a runtime promises of commands beside an instance. */
export const execCases: readonly RuntimeCase[] = [
  runtimeCase(
    "exec runs beside its instance, as it: environment and folders; streams and exit code are its own",
    async (bench) => {
      const spec = await bench.started({ env: { NAME: "value" } });
      const instance = await bench.answer(spec);
      const { portrait, err, exit } = await portraitOf(exec(bench, spec, node("about-itself.js")));
      assert.deepEqual([exit.code, exit.signal, exit.message, err], [7, null, null, "to the other stream"]);
      assert.notEqual(portrait.token, instance.token);
      assert.equal(portrait.cwd, instance.cwd);
      for (const name of ["NAME", "PORT", "HOME", "TMPDIR", "PATH", "DINP_INSTANCE_ID"])
        assert.equal(portrait.env[name], instance.env[name], name);
      assert.equal((await bench.list()).length, 1);
      assert.equal((await bench.answer(spec)).token, instance.token);
    },
  ),

  runtimeCase("exec: no shell looks at the command, and there is no terminal", async (bench) => {
    const spec = await bench.started();
    const args = ["$HOME `id` $(id)", "two  words", "", "*", "ünïcode", "--flag"];
    const { portrait } = await portraitOf(exec(bench, spec, node("about-itself.js", ...args)));
    assert.deepEqual(portrait.args, args);
    assert.equal(portrait.isTerminal, false);
  }),

  runtimeCase("exec: standard input is given whole and then ends, and is empty without", async (bench) => {
    const spec = await bench.started();
    const text = "some input, ".repeat(50_000);
    const stdin = new TextEncoder().encode(text);
    assert.equal(await textOf(exec(bench, spec, node("upper-case.js"), { stdin })), text.toUpperCase());
    assert.equal(await textOf(exec(bench, spec, node("upper-case.js"))), "");
  }),

  runtimeCase("exec: bytes come through unchanged, and an end by a signal is told as one", async (bench) => {
    const spec = await bench.started();
    const { out, exit } = await outcome(exec(bench, spec, node("odd-end.js")));
    assert.deepEqual([...out], [0, 255, 27, 10, 200]);
    assert.deepEqual(exit, { type: "exit", code: null, signal: "SIGUSR2", message: null });
  }),

  runtimeCase("exec: it begins when the first event is asked for", async (bench) => {
    const spec = await bench.started();
    const waiting = exec(bench, spec, node("keep.js", "mark", "begun"));
    assert.equal(await textOf(exec(bench, spec, node("show.js", "mark"))), "nothing");
    assert.equal(await textOf(exec(bench, spec, node("show.js", "mark"))), "nothing");
    assert.equal((await outcome(waiting)).exit.code, 0);
    assert.equal(await textOf(exec(bench, spec, node("show.js", "mark"))), "begun");
  }),

  runtimeCase(
    "exec: an instance that is not there is not found, one that has ended is refused",
    async (bench) => {
      const spec = await bench.spec();
      const command = node("about-itself.js");
      await rejectsWith("DINP_NOT_FOUND", () => outcome(exec(bench, spec, command)));
      await bench.start(spec);
      await bench.stop(spec, 0);
      await rejectsWith("DINP_INVALID", () => outcome(exec(bench, spec, command)));
    },
  ),

  runtimeCase(
    "exec: a program that is not there is named, a command that is none is refused",
    async (bench) => {
      const spec = await bench.started();
      const missing = ["no-such-program"];
      const error = await rejectsWith("DINP_PROGRAM_MISSING", () => outcome(exec(bench, spec, missing)));
      assert.match(error.message, /no-such-program/);
      for (const command of [["node", "with\0nul"], []])
        await rejectsWith("DINP_INVALID", () => outcome(exec(bench, spec, command)));
    },
  ),

  runtimeCase("exec: a command writes no faster than its events are taken", async (bench) => {
    const spec = await bench.started();
    const written = async (): Promise<number> =>
      Number(await textOf(exec(bench, spec, node("show.js", "written"))));
    for await (const event of exec(bench, spec, node("talkative.js"))) {
      assert.equal(event.type, "output");
      let [before, now] = [-1, await written()];
      for (let rounds = 0; now !== before; rounds += 1) {
        const told = `it wrote ${String(now)} times 64 KiB to a reader that took one`;
        assert.ok(rounds < 50 && now < 100, told);
        await delay(50);
        [before, now] = [now, await written()];
      }
      break;
    }
  }),
];

/** What a runtime promises of the end of commands. */
export const commandEndCases: readonly RuntimeCase[] = [
  runtimeCase("exec: an abort ends all of its processes, and not its instance", async (bench) => {
    const spec = await bench.started();
    const watchman = await bench.watchman();
    const abort = new AbortController();
    const options = { signal: abort.signal };
    const events = exec(bench, spec, parent(watchman), options);
    const reading = later(rejectsWith("DINP_ABORTED", () => outcome(events)));
    await watchman.came();
    abort.abort();
    await reading;
    await watchman.isGone();
    await bench.answer(spec);
  }),

  runtimeCase("exec and run: a signal that has aborted lets nothing begin", async (bench) => {
    const spec = await bench.started();
    const options = { signal: AbortSignal.abort() };
    const command = node("keep.js", "mark", "begun");
    await rejectsWith("DINP_ABORTED", () => outcome(exec(bench, spec, command, options)));
    await rejectsWith("DINP_ABORTED", () => outcome(run(bench, spec, command, options)));
    assert.equal(await textOf(exec(bench, spec, node("show.js", "mark"))), "nothing");
  }),

  runtimeCase("exec: a reader that leaves ends all of its processes", async (bench) => {
    const spec = await bench.started();
    const watchman = await bench.watchman();
    const reader = exec(bench, spec, parent(watchman))[Symbol.asyncIterator]();
    const first = await within(reader.next(), "the first output");
    assert.ok(first.done !== true && first.value.type === "output");
    await watchman.came();
    await within(Promise.resolve(reader.return?.()), "the end of the reading");
    await watchman.isGone();
  }),

  runtimeCase("exec: what the first process leaves behind ends with it", async (bench) => {
    const spec = await bench.started();
    const watchman = await bench.watchman();
    const ending = later(outcome(exec(bench, spec, parent(watchman))));
    await watchman.came();
    await watchman.speak();
    assert.equal((await ending).exit.code, 4);
    await watchman.isGone();
    await bench.answer(spec);
  }),

  runtimeCase("exec: a stop of the instance ends the command, and the reader is told why", async (bench) => {
    const spec = await bench.started();
    const watchman = await bench.watchman();
    const running = later(outcome(exec(bench, spec, parent(watchman))));
    await watchman.came();
    await bench.stop(spec, 0);
    const { exit } = await running;
    assert.deepEqual([exit.code, exit.signal], [null, "SIGKILL"]);
    assert.notEqual(exit.message ?? "", "", "It says why.");
    await watchman.isGone();
  }),

  runtimeCase("exec: the instance's own end is the command's", async (bench) => {
    const spec = await bench.started();
    const watchman = await bench.watchman();
    const running = later(outcome(exec(bench, spec, parent(watchman))));
    await watchman.came();
    await bench.ask(spec, "/exit");
    await running;
    await watchman.isGone();
  }),

  runtimeCase("close ends commands and one-offs, and leaves the instance", async (bench) => {
    const spec = await bench.started();
    const [beside, apart] = [await bench.watchman(), await bench.watchman()];
    const commands = [exec(bench, spec, parent(beside)), run(bench, spec, parent(apart))];
    const ends = commands.map((events) => later(rejectsWith("DINP_CLOSED", () => outcome(events))));
    // A command that fails says why, instead of being waited for.
    await Promise.race([Promise.all([beside.came(), apart.came()]), Promise.all(ends)]);
    await bench.reopen();
    await Promise.all(ends);
    await Promise.all([beside.isGone(), apart.isGone()]);
    await bench.answer(spec);
    assert.equal((await outcome(exec(bench, spec, node("about-itself.js")))).exit.code, 7);
  }),
];
