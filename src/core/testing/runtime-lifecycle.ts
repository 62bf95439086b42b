import assert from "node:assert/strict";
import { isDinpError } from "../model/errors.js";
import type { InstanceSpec, Runtime } from "../ports/runtime.js";
import { later, rejectsAsMisuse, rejectsWith, within } from "./conformance.js";
import {
  drain,
  never,
  type RuntimeBench,
  runtimeCase,
  type RuntimeCase,
  runSpecOf,
} from "./runtime-harness.js";

/** What a runtime promises of `open`, `list` and `close`, of aborts, of other clusters and of what it cannot tell. */
export const runtimeLifecycleCases: readonly RuntimeCase[] = [
  runtimeCase("nothing is called before open, and open is called once", async (bench) => {
    await rejectsAsMisuse(() => bench.runtime.open());
    const runtime = bench.harness.unopened();
    try {
      for (const call of Object.values(callsOf(runtime, await bench.spec()))) await rejectsAsMisuse(call);
      await rejectsWith("DINP_ABORTED", () => runtime.open({ signal: AbortSignal.abort() }));
    } finally {
      await within(runtime.close(), "the end of an unopened runtime");
    }
    assert.deepEqual(await bench.list(), []);
  }),

  runtimeCase("a new run adopts running instances and remembers ended ones", async (bench) => {
    const running = await bench.started();
    const ended = await bench.started();
    const { token } = await bench.answer(running);
    await bench.stop(ended, 10_000);
    const before = await bench.list();
    await bench.reopen();
    assert.deepEqual(await bench.list(), before);
    assert.equal((await bench.start(running)).state, "running");
    assert.equal((await bench.start(ended)).state, "exited");
    assert.equal((await bench.answer(running)).token, token);
    await bench.stop(running, 10_000);
    assert.equal((await bench.untilExited(running)).exit?.cause, "stopped");
    await bench.expectSilence(running);
  }),

  runtimeCase("the list has running and exited instances, by instance id", async (bench) => {
    for (const instanceId of ["i-b", "i-10", "i-c", "i-9", "i-a"]) {
      const command = instanceId === "i-c" ? ["node", "server.js"] : ["no-such-program"];
      await bench.start(await bench.spec({ instanceId, command }));
    }
    const listed = (await bench.list()).map(({ instanceId, state }) => `${instanceId} ${state}`);
    assert.deepEqual(listed, ["i-10 exited", "i-9 exited", "i-a exited", "i-b exited", "i-c running"]);
  }),

  runtimeCase("an aborted signal rejects every call with DINP_ABORTED and changes nothing", async (bench) => {
    const spec = await bench.started();
    const { instanceId } = spec;
    const before = await bench.list();
    const { token } = await bench.answer(spec);
    const { runtime } = bench;
    const signal = AbortSignal.abort();
    await rejectsWith("DINP_ABORTED", () => runtime.list({ signal }));
    await rejectsWith("DINP_ABORTED", () => runtime.prepareImage(spec.image, { signal }));
    await rejectsWith("DINP_ABORTED", () => runtime.start(spec, { signal }));
    await rejectsWith("DINP_ABORTED", () => runtime.stop(instanceId, { graceMs: 0, signal }));
    await rejectsWith("DINP_ABORTED", () => runtime.remove(instanceId, { signal }));
    assert.deepEqual(await bench.list(), before);
    assert.equal((await bench.answer(spec)).token, token);
  }),

  runtimeCase("close ends watches and followers, and leaves instances running", async (bench) => {
    const spec = await bench.started();
    const { token } = await bench.answer(spec);
    const { runtime } = bench;
    const watching = later(drain(runtime.watch({ signal: never() })));
    const following = later(endOfFollowing(runtime, spec.instanceId));
    await bench.list();
    await within(Promise.all([runtime.close(), runtime.close()]), "the end of the runtime");
    await within(runtime.close(), "another close");
    await watching;
    await following;
    assert.equal((await bench.answer(spec)).token, token);
    await bench.reopen();
    assert.equal((await bench.list()).length, 1);
  }),

  runtimeCase("close does not wait for a stop", async (bench) => {
    const spec = await bench.started({ env: { TERM_TAKES: "for ever" } });
    const stopping = later(bench.runtime.stop(spec.instanceId, { graceMs: 600_000 }));
    await bench.list();
    await within(bench.runtime.close(), "the end of the runtime");
    await rejectsWith("DINP_CLOSED", () => stopping);
    await bench.answer(spec);
    await bench.reopen();
    assert.equal((await bench.list())[0]?.state, "running");
  }),

  runtimeCase("after close every method rejects with DINP_CLOSED", async (bench) => {
    const spec = await bench.started();
    const { runtime } = bench;
    await within(runtime.close(), "the end of the runtime");
    await rejectsWith("DINP_CLOSED", () => runtime.open());
    for (const call of Object.values(callsOf(runtime, spec))) await rejectsWith("DINP_CLOSED", call);
    await bench.reopen();
  }),

  runtimeCase(
    "instances of another cluster are neither listed nor touched",
    async (bench) => {
      assert.ok(bench.harness.foreign);
      const foreign = await bench.harness.foreign();
      try {
        const spec = await bench.spec({ instanceId: "i-foreign" });
        await foreign.prepareImage(spec.image);
        await foreign.start(spec);
        const { token } = await bench.answer(spec);
        await expectStranger(bench, spec);
        await bench.reopen();
        await expectStranger(bench, spec);
        assert.equal((await bench.answer(spec)).token, token);
        assert.equal((await foreign.list())[0]?.state, "running");
      } finally {
        await within(foreign.remove("i-foreign"), "the removal of an instance of another cluster");
        await within(foreign.close(), "the end of another runtime");
      }
    },
    { requires: "foreign" },
  ),

  runtimeCase(
    "a runtime that cannot tell rejects with DINP_UNAVAILABLE, retryable: it never says that nothing is there",
    async (bench) => {
      assert.ok(bench.harness.outage);
      const spec = await bench.started();
      const before = await bench.list();
      const end = await bench.harness.outage();
      try {
        const { retryable } = await rejectsWith("DINP_UNAVAILABLE", () => bench.runtime.list());
        assert.equal(retryable, true);
        const { instanceId } = spec;
        const known = await unlessUnavailable(bench.runtime.stats(instanceId));
        assert.notEqual(known, null, "A running instance has no stats.");
        await unlessUnavailable(drain(bench.runtime.logs(instanceId)));
        const again = await unlessUnavailable(bench.runtime.start(spec));
        if (again !== "unavailable") assert.equal(again.state, "running");
      } finally {
        await end();
      }
      assert.deepEqual(await bench.list(), before);
      await bench.answer(spec);
    },
    { requires: "outage" },
  ),
];

/** Every method but `open` and `close`, called. */
function callsOf(runtime: Runtime, spec: InstanceSpec): Readonly<Record<string, () => Promise<unknown>>> {
  const { instanceId, image } = spec;
  const options = { command: ["node", "about-itself.js"], signal: never() };
  return {
    capacity: () => runtime.capacity(),
    prepareImage: () => runtime.prepareImage(image),
    list: () => runtime.list(),
    start: () => runtime.start(spec),
    stop: () => runtime.stop(instanceId, { graceMs: 0 }),
    remove: () => runtime.remove(instanceId),
    watch: async () => drain(runtime.watch({ signal: never() })),
    logs: () => drain(runtime.logs(instanceId)),
    stats: () => runtime.stats(instanceId),
    exec: () => drain(runtime.exec(instanceId, options)),
    run: () => drain(runtime.run(runSpecOf(spec), options)),
    pruneImages: () => runtime.pruneImages([]),
  };
}

/** The end of a followed log, which may be told as the runtime's. */
async function endOfFollowing(runtime: Runtime, instanceId: string): Promise<void> {
  try {
    await drain(runtime.logs(instanceId, { follow: true }));
  } catch (error) {
    if (!isDinpError(error, "DINP_CLOSED")) throw error;
  }
}

async function expectStranger(bench: RuntimeBench, { instanceId }: InstanceSpec): Promise<void> {
  const { runtime } = bench;
  assert.deepEqual(await bench.list(), []);
  await within(runtime.stop(instanceId, { graceMs: 0 }), "a stop of nothing");
  await within(runtime.remove(instanceId), "a removal of nothing");
  assert.equal(await runtime.stats(instanceId), null);
  await rejectsWith("DINP_NOT_FOUND", () => drain(runtime.logs(instanceId)));
}

async function unlessUnavailable<T>(call: Promise<T>): Promise<T | "unavailable"> {
  try {
    return await within(call, "an answer amid an outage");
  } catch (error) {
    if (isDinpError(error, "DINP_UNAVAILABLE")) return "unavailable";
    throw error;
  }
}
