import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { ImageRef } from "../model/records.js";
import { isDinpError, type DinpErrorCode } from "../model/errors.js";
import type { InstanceSpec, Runtime, RuntimeInstance } from "../ports/runtime.js";
import type { ConformanceCase } from "./conformance.js";

/** What the suite needs of the adapter under test; one is made for each test. */
export interface RuntimeHarness {
  /** Opened, without instances. */
  readonly runtime: Runtime;
  /** Makes an image of these files (path below the app's folder → text) that `prepareImage` can fetch and that `node` can run in. */
  makeImage(files: Readonly<Record<string, string>>): Promise<ImageRef>;
  /** A port that nothing listens on, another one at each call. */
  freePort(): Promise<number>;
  /** Closes the runtime and opens a new one over what it left behind. */
  reopen(): Promise<Runtime>;
  /** Removes every instance and file. */
  dispose(): Promise<void>;
}

const SERVER = `
const http = require("node:http");
const server = http.createServer((request, response) => {
  if (request.url === "/exit") process.exit(3);
  if (request.url === "/log") console.log("line for " + process.env.NAME);
  response.end(JSON.stringify({ pid: process.pid, env: process.env, cwd: process.cwd() }));
});
process.on("SIGTERM", () => {
  console.log("asked to end");
  if (process.env.STUBBORN !== "yes") process.exit(0);
});
server.listen(Number(process.env.PORT), () => console.log("listening"));
`;

const EAGER = `
const kept = [];
setInterval(() => kept.push(Buffer.alloc(8 * 1024 * 1024, 1)), 10);
`;

/** The contract of the {@link Runtime} port as tests on real instances. Each test makes a harness of its own. */
export function runtimeSuite(create: () => Promise<RuntimeHarness>): readonly ConformanceCase[] {
  const test = (name: string, body: (bench: Bench) => Promise<void>): ConformanceCase => ({
    name,
    run: async () => {
      const harness = await create();
      try {
        await body(await Bench.make(harness));
      } finally {
        await harness.dispose();
      }
    },
  });
  return [
    test("an instance answers on its port with its environment, and is listed", async (bench) => {
      const spec = await bench.spec({ env: { NAME: "value", HOME: "/not-this", PORT: "1" } });
      const started = await bench.runtime.start(spec);
      assert.equal(started.state, "running");
      const { env } = await bench.answer(spec);
      assert.equal(env["NAME"], "value");
      assert.equal(env["PORT"], String(spec.port));
      assert.notEqual(env["HOME"], "/not-this");
      assert.equal(env["DINP_INSTANCE_ID"], spec.instanceId);
      const [listed, ...more] = await bench.runtime.list();
      assert.deepEqual(more, []);
      assert.deepEqual(
        [listed?.instanceId, listed?.appId, listed?.releaseId, listed?.port, listed?.state, listed?.exit],
        [spec.instanceId, spec.appId, spec.releaseId, spec.port, "running", null],
      );
    }),

    test("starts at the same time and later ones make one process", async (bench) => {
      const spec = await bench.spec();
      await Promise.all([bench.runtime.start(spec), bench.runtime.start(spec), bench.runtime.start(spec)]);
      const { pid } = await bench.answer(spec);
      await bench.runtime.start(spec);
      assert.equal((await bench.answer(spec)).pid, pid);
      assert.equal((await bench.runtime.list()).length, 1);
    }),

    test("an instance id runs once: a start after its end gives the end", async (bench) => {
      const spec = await bench.spec();
      await bench.runtime.start(spec);
      await bench.answer(spec);
      await bench.runtime.stop(spec.instanceId, { graceMs: 5_000 });
      const again = await bench.runtime.start(spec);
      assert.equal(again.state, "exited");
      assert.equal(again.exit?.cause, "stopped");
    }),

    test("an image that is not prepared, or not there, is refused", async (bench) => {
      const digest = `sha256:${"0".repeat(64)}`;
      const image = { ...(await bench.spec()).image, digest };
      await rejectsWith("DINP_IMAGE_NOT_FOUND", bench.runtime.prepareImage(image));
      await rejectsWith("DINP_IMAGE_NOT_FOUND", bench.runtime.start({ ...(await bench.spec()), image }));
      assert.deepEqual(await bench.runtime.list(), []);
    }),

    test("a command that cannot be executed gives an exited instance that names the program", async (bench) => {
      const spec = await bench.spec({ command: ["no-such-program", "x"] });
      const started = await bench.runtime.start(spec);
      assert.equal(started.state, "exited");
      assert.equal(started.exit?.cause, "start");
      assert.match(started.exit.message, /no-such-program/);
    }),

    test("an end by itself is told with its code and the last lines of the log", async (bench) => {
      const spec = await bench.spec({ env: { NAME: "x" } });
      await bench.runtime.start(spec);
      await bench.answer(spec);
      const told = bench.nextChange(spec.instanceId);
      await fetch(`http://${bench.hostOf(spec)}/exit`).catch(() => null);
      await told;
      const { exit } = await bench.untilExited(spec.instanceId);
      assert.equal(exit?.cause, "exited");
      assert.equal(exit.code, 3);
      assert.deepEqual(exit.logTail, ["listening"]);
      assert.match(exit.message, /code 3/);
    }),

    test("stop asks first, and the port is free afterwards", async (bench) => {
      const spec = await bench.spec();
      await bench.runtime.start(spec);
      await bench.answer(spec);
      await bench.runtime.stop(spec.instanceId, { graceMs: 10_000 });
      await assert.rejects(fetch(`http://${bench.hostOf(spec)}/`));
      const { exit } = await bench.untilExited(spec.instanceId);
      assert.equal(exit?.cause, "stopped");
      assert.deepEqual(exit.logTail, ["listening", "asked to end"]);
    }),

    test("stop ends what does not end by itself after the grace", async (bench) => {
      const spec = await bench.spec({ env: { STUBBORN: "yes" } });
      await bench.runtime.start(spec);
      await bench.answer(spec);
      const since = performance.now();
      await bench.runtime.stop(spec.instanceId, { graceMs: 300 });
      const tookMs = performance.now() - since;
      assert.ok(tookMs >= 295, `ended after ${String(tookMs)} ms, before its grace was over`);
      assert.equal((await bench.untilExited(spec.instanceId)).exit?.cause, "stopped");
    }),

    test("stop and remove are idempotent and may run together", async (bench) => {
      await bench.runtime.stop("nobody", { graceMs: 0 });
      await bench.runtime.remove("nobody");
      const spec = await bench.spec({ env: { STUBBORN: "yes" } });
      const { runtime } = bench;
      await Promise.all([
        runtime.start(spec),
        runtime.stop(spec.instanceId, { graceMs: 20_000 }),
        runtime.stop(spec.instanceId, { graceMs: 30_000 }),
        runtime.remove(spec.instanceId),
        runtime.remove(spec.instanceId),
      ]);
      assert.deepEqual(await runtime.list(), []);
      await runtime.remove(spec.instanceId);
    }),

    test("logs give the last lines, then new ones until the instance is removed", async (bench) => {
      const spec = await bench.spec({ env: { NAME: "me" } });
      await bench.runtime.start(spec);
      await bench.answer(spec);
      const seen: string[] = [];
      const following = (async () => {
        for await (const line of bench.runtime.logs(spec.instanceId, { follow: true })) seen.push(line.text);
      })();
      await eventually(() => seen.length === 1);
      await fetch(`http://${bench.hostOf(spec)}/log`);
      await eventually(() => seen.length === 2);
      assert.deepEqual(seen, ["listening", "line for me"]);
      const tail: string[] = [];
      for await (const line of bench.runtime.logs(spec.instanceId, { tail: 1 })) tail.push(line.text);
      assert.deepEqual(tail, ["line for me"]);
      await bench.runtime.remove(spec.instanceId);
      await following;
      await rejectsWith("DINP_NOT_FOUND", drain(bench.runtime.logs(spec.instanceId)));
    }),

    test("following a log ends when its signal aborts", async (bench) => {
      const spec = await bench.spec();
      await bench.runtime.start(spec);
      const abort = new AbortController();
      const following = drain(bench.runtime.logs(spec.instanceId, { follow: true, signal: abort.signal }));
      abort.abort();
      await following;
    }),

    test("stats tell of memory, processor time and processes", async (bench) => {
      const spec = await bench.spec();
      await bench.runtime.start(spec);
      await bench.answer(spec);
      const stats = await bench.runtime.stats(spec.instanceId);
      assert.ok(stats !== null && stats.memoryBytes > 1024 ** 2 && stats.cpuMs > 0 && stats.processes >= 1);
      assert.equal(await bench.runtime.stats("nobody"), null);
    }),

    test("an instance over its memory is ended with that cause", async (bench) => {
      const spec = await bench.spec({ command: ["node", "eager.js"], memoryMb: 96 });
      await bench.runtime.start(spec);
      const { exit } = await bench.untilExited(spec.instanceId);
      assert.equal(exit?.cause, "memory");
      assert.match(exit.message, /96 MB/);
    }),

    test("a new run adopts running instances and remembers ended ones", async (bench) => {
      const running = await bench.spec();
      const ended = await bench.spec();
      await bench.runtime.start(running);
      await bench.runtime.start(ended);
      const { pid } = await bench.answer(running);
      await bench.answer(ended);
      await bench.runtime.stop(ended.instanceId, { graceMs: 5_000 });
      const before = await bench.runtime.list();
      await bench.reopen();
      assert.deepEqual(await bench.runtime.list(), before);
      assert.equal((await bench.answer(running)).pid, pid);
      assert.equal((await bench.runtime.start(running)).state, "running");
      assert.equal((await bench.answer(running)).pid, pid);
      await bench.runtime.stop(running.instanceId, { graceMs: 5_000 });
      assert.equal((await bench.untilExited(running.instanceId)).exit?.cause, "stopped");
      await assert.rejects(fetch(`http://${bench.hostOf(running)}/`));
    }),

    test("pruning keeps images of instances and of the list", async (bench) => {
      const spec = await bench.spec();
      await bench.runtime.start(spec);
      const [kept, dropped] = [
        await bench.image({ "a.txt": "kept" }),
        await bench.image({ "a.txt": "dropped" }),
      ];
      await bench.runtime.pruneImages([kept]);
      const start = async (image: ImageRef): Promise<RuntimeInstance> =>
        bench.runtime.start({ ...(await bench.spec()), image, command: ["no-such-program"] });
      assert.equal((await start(kept)).exit?.cause, "start");
      assert.equal((await start(spec.image)).exit?.cause, "start");
      await rejectsWith("DINP_IMAGE_NOT_FOUND", start(dropped));
    }),

    test("an aborted call and a closed runtime say so", async (bench) => {
      const spec = await bench.spec();
      const signal = AbortSignal.abort();
      await rejectsWith("DINP_ABORTED", bench.runtime.start(spec, { signal }));
      await rejectsWith("DINP_ABORTED", bench.runtime.list({ signal }));
      assert.deepEqual(await bench.runtime.list(), []);
      const watched = drain(bench.runtime.watch({ signal: new AbortController().signal }));
      const { runtime } = bench;
      await runtime.close();
      await runtime.close();
      await watched;
      await rejectsWith("DINP_CLOSED", runtime.list());
      await rejectsWith("DINP_CLOSED", runtime.start(spec));
      await bench.reopen();
    }),
  ];
}

/** One test's harness with an image of the suite's apps. */
class Bench {
  readonly #harness: RuntimeHarness;
  readonly #image: ImageRef;
  #reopened: Runtime | null = null;
  #count = 0;

  private constructor(harness: RuntimeHarness, image: ImageRef) {
    this.#harness = harness;
    this.#image = image;
  }

  static async make(harness: RuntimeHarness): Promise<Bench> {
    const image = await harness.makeImage({ "server.js": SERVER, "eager.js": EAGER });
    await harness.runtime.prepareImage(image);
    return new Bench(harness, image);
  }

  get runtime(): Runtime {
    return this.#reopened ?? this.#harness.runtime;
  }

  async reopen(): Promise<void> {
    this.#reopened = await this.#harness.reopen();
  }

  async image(files: Readonly<Record<string, string>>): Promise<ImageRef> {
    const image = await this.#harness.makeImage(files);
    await this.runtime.prepareImage(image);
    return image;
  }

  async spec(parts: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
    this.#count += 1;
    return {
      instanceId: `i-${String(this.#count)}`,
      appId: "app-1",
      appName: "hello",
      releaseId: "release-1",
      image: this.#image,
      command: ["node", "server.js"],
      env: {},
      memoryMb: 256,
      cpuMillis: 100,
      port: await this.#harness.freePort(),
      ...parts,
    };
  }

  hostOf(spec: InstanceSpec): string {
    return `127.0.0.1:${String(spec.port)}`;
  }

  async answer(
    spec: InstanceSpec,
  ): Promise<{ readonly pid: number; readonly env: Readonly<Record<string, string>>; readonly cwd: string }> {
    let body: unknown = null;
    await eventually(async () => {
      const response = await fetch(`http://${this.hostOf(spec)}/`).catch(() => null);
      body = await response?.json();
      return response?.ok === true;
    });
    return body as { pid: number; env: Record<string, string>; cwd: string };
  }

  async untilExited(instanceId: string): Promise<RuntimeInstance> {
    let found: RuntimeInstance | undefined;
    await eventually(async () => {
      found = (await this.runtime.list()).find((instance) => instance.instanceId === instanceId);
      return found?.state === "exited";
    });
    assert.ok(found !== undefined);
    return found;
  }

  /** Resolves when the runtime tells of a change of the instance. */
  async nextChange(instanceId: string): Promise<void> {
    const signal = AbortSignal.timeout(20_000);
    for await (const changed of this.runtime.watch({ signal })) if (changed === instanceId) return;
    assert.fail(`No change of ${instanceId} was told of within 20 s.`);
  }
}

async function eventually(condition: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await condition())) {
    assert.ok(performance.now() < until, `Not so within ${String(withinMs)} ms: ${condition.toString()}`);
    await delay(20);
  }
}

async function rejectsWith(code: DinpErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => isDinpError(error, code));
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}
