import assert from "node:assert/strict";
import type { LogLine, Runtime } from "../ports/runtime.js";
import { eventually, later, Reader, rejectsWith, within } from "./conformance.js";
import { drain, never, type RuntimeBench, runtimeCase, type RuntimeCase } from "./runtime-harness.js";

/** What a runtime promises of `watch`, `logs` and `stats`. */
export const observationCases: readonly RuntimeCase[] = [
  runtimeCase(
    "watch tells of a start, an end and a removal, when the list shows them, to all who watch",
    async (bench) => {
      const [one, two] = [watched(bench), watched(bench)];
      const spec = await bench.started();
      const both = (state: string): Promise<void> =>
        eventually(() => [one, two].every(({ states }) => states.has(`${spec.instanceId} ${state}`)), state);
      await both("running");
      await bench.ask(spec, "/exit");
      await both("exited");
      await bench.remove(spec);
      await both("absent");
      one.stop();
      two.stop();
      await Promise.all([one.end, two.end]);
    },
  ),

  runtimeCase("watch ends with its signal", async ({ runtime }) => {
    const abort = new AbortController();
    const watching = later(drain(runtime.watch({ signal: abort.signal })));
    await runtime.list();
    abort.abort();
    await watching;
    await drain(runtime.watch({ signal: abort.signal }));
  }),

  runtimeCase("logs give the last lines, 100 unless told otherwise", async (bench) => {
    const spec = await bench.started({ env: { LINES: "150" } });
    const all = [...Array.from({ length: 150 }, (_, line) => `line ${String(line + 1)}`), "listening"];
    for (const tail of [0, 1, 3, 151, 1_000]) {
      const expected = tail === 0 ? [] : all.slice(-tail);
      assert.deepEqual(await textsOf(bench.runtime, spec.instanceId, tail), expected, `tail ${String(tail)}`);
    }
    assert.deepEqual(await textsOf(bench.runtime, spec.instanceId), all.slice(-100));
  }),

  runtimeCase("logs of an instance that has ended can be read", async (bench) => {
    const spec = await bench.started();
    await bench.stop(spec, 60_000);
    assert.deepEqual(await textsOf(bench.runtime, spec.instanceId), ["listening", "asked to end"]);
  }),

  runtimeCase("a followed log loses and doubles no line", async (bench) => {
    const spec = await bench.started({ env: { CHATTER: "yes" } });
    const abort = new AbortController();
    const lines = new Reader<LogLine>(
      bench.runtime.logs(spec.instanceId, { tail: 5, follow: true, signal: abort.signal }),
    );
    const taken = await lines.take(30);
    abort.abort();
    assert.deepEqual(new Set(taken.map(({ instanceId }) => instanceId)), new Set([spec.instanceId]));
    const numbers = taken.map(({ text }) => text).filter((text) => text !== "listening");
    const first = Number(numbers[0]?.slice("line ".length));
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => `line ${String(first + index)}`),
    );
  }),

  runtimeCase(
    "a followed log goes on over the instance's end, and ends when it is removed",
    async (bench) => {
      const spec = await bench.started();
      const lines = new Reader<LogLine>(bench.runtime.logs(spec.instanceId, { follow: true }));
      assert.equal((await lines.next()).text, "listening");
      await bench.ask(spec, "/log?text=hello");
      assert.equal((await lines.next()).text, "hello");
      await bench.stop(spec, 60_000);
      assert.equal((await lines.next()).text, "asked to end");
      let isOver = false;
      const end = later(lines.expectEnd().finally(() => (isOver = true)));
      await bench.list();
      assert.equal(await bench.ask(spec, "/"), null);
      assert.equal(isOver, false, "The log ended before the instance was removed.");
      await bench.remove(spec);
      await end;
    },
  ),

  runtimeCase("a followed log ends with its signal", async (bench) => {
    const spec = await bench.started();
    const abort = new AbortController();
    const options = { follow: true, signal: abort.signal };
    const following = later(drain(bench.runtime.logs(spec.instanceId, options)));
    await bench.list();
    abort.abort();
    await following;
  }),

  runtimeCase("logs of an unknown id are not empty: they are not found", async ({ runtime }) => {
    for (const follow of [false, true])
      await rejectsWith("DINP_NOT_FOUND", () => drain(runtime.logs("nobody", { follow, signal: never() })));
  }),

  runtimeCase("stats tell of memory, processor time and processes while it runs", async (bench) => {
    const spec = await bench.started();
    const stats = await within(bench.runtime.stats(spec.instanceId), "stats");
    assert.equal(stats?.instanceId, spec.instanceId);
    assert.ok(stats.memoryBytes > 1024 ** 2, `${String(stats.memoryBytes)} bytes`);
    assert.ok(stats.memoryBytes < 1024 ** 3, `${String(stats.memoryBytes)} bytes`);
    assert.ok(stats.cpuMs > 0, `${String(stats.cpuMs)} ms of processor time`);
    assert.ok(stats.processes >= 1, `${String(stats.processes)} processes`);
    assert.equal(await within(bench.runtime.stats("nobody"), "stats of nothing"), null);
    await bench.stop(spec, 60_000);
    assert.equal(await within(bench.runtime.stats(spec.instanceId), "stats of what has ended"), null);
  }),
];

async function textsOf(runtime: Runtime, instanceId: string, tail?: number): Promise<readonly string[]> {
  const texts: string[] = [];
  const read = async (): Promise<void> => {
    const options = tail === undefined ? {} : { tail };
    for await (const line of runtime.logs(instanceId, options)) texts.push(line.text);
  };
  await within(read(), "the end of a log");
  return texts;
}

/** What the list shows at each hint, as `ID STATE`. */
function watched(bench: RuntimeBench): {
  readonly states: ReadonlySet<string>;
  readonly end: Promise<void>;
  stop(): void;
} {
  const abort = new AbortController();
  const states = new Set<string>();
  const hints = bench.runtime.watch({ signal: abort.signal });
  const watching = (async () => {
    for await (const id of hints) {
      const found = (await bench.list()).find(({ instanceId }) => instanceId === id);
      states.add(`${id} ${found?.state ?? "absent"}`);
    }
  })();
  return {
    states,
    end: later(watching),
    stop: () => {
      abort.abort();
    },
  };
}
