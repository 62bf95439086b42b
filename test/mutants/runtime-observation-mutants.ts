import { isDinpError, type LogLine, type Runtime } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenRuntime, type RuntimePort } from "./support/broken-runtime.js";

const WATCH = "watch tells of a start, an end and a removal, when the list shows them, to all who watch";
const WATCH_ENDS = "watch ends with its signal";
const TAIL = "logs give the last lines, 100 unless told otherwise";
const FOLLOWED = "a followed log loses and doubles no line";
const OVER_THE_END = "a followed log goes on over the instance's end, and ends when it is removed";
const NOT_FOUND = "logs of an unknown id are not empty: they are not found";
const STATS = "stats tell of memory, processor time and processes while it runs";

type LogOptions = NonNullable<Parameters<Runtime["logs"]>[1]>;

function brokenLogs(
  name: string,
  caughtBy: string,
  logs: (runtime: Runtime, instanceId: string, options: LogOptions) => AsyncIterable<LogLine>,
): Mutant<RuntimePort> {
  return brokenRuntime(name, caughtBy, (runtime) => ({
    logs: (instanceId, options = {}) => logs(runtime, instanceId, options),
  }));
}

/** Hints of which `isTold` says whether they reach the reader. */
async function* hints(
  runtime: Runtime,
  signal: AbortSignal,
  isTold: (state: "running" | "exited" | "absent") => boolean,
): AsyncGenerator<string, void> {
  for await (const id of runtime.watch({ signal })) {
    const found = (await runtime.list()).find(({ instanceId }) => instanceId === id);
    if (isTold(found?.state ?? "absent")) yield id;
  }
}

function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    signal?.addEventListener("abort", () => {
      resolve();
    });
  });
}

/** Mutants of `watch`, `logs` and `stats`. */
export const runtimeObservationMutants: readonly Mutant<RuntimePort>[] = [
  ...(["running", "exited", "absent"] as const).map((lost) =>
    brokenRuntime(`a change to ${lost} is not told`, WATCH, (runtime) => ({
      watch: ({ signal }) => hints(runtime, signal, (state) => state !== lost),
    })),
  ),
  brokenRuntime("only the first who watches is told", WATCH, (runtime) => {
    let watchers = 0;
    return {
      watch: ({ signal }) => {
        watchers += 1;
        const isFirst = watchers === 1;
        return hints(runtime, signal, () => isFirst);
      },
    };
  }),
  brokenRuntime("an abort before a watch is not noticed", WATCH_ENDS, (runtime) => ({
    watch: ({ signal }) => runtime.watch({ signal: signal.aborted ? new AbortController().signal : signal }),
  })),
  brokenRuntime("a watch ends with an error", WATCH_ENDS, (runtime) => ({
    watch: async function* ({ signal }) {
      yield* runtime.watch({ signal });
      signal.throwIfAborted();
    },
  })),
  brokenLogs("ten lines are given unless told otherwise", TAIL, (runtime, instanceId, options) =>
    runtime.logs(instanceId, { tail: 10, ...options }),
  ),
  brokenLogs("a tail of none is told as all", TAIL, (runtime, instanceId, options) =>
    runtime.logs(instanceId, options.tail === 0 ? { ...options, tail: 10_000 } : options),
  ),
  brokenLogs("the first lines are given in place of the last", TAIL, async function* (runtime, id, options) {
    const { tail = 100, follow = false } = options;
    if (follow) yield* runtime.logs(id, options);
    else {
      let left = tail;
      for await (const line of runtime.logs(id, { ...options, tail: 10_000 })) if (left-- > 0) yield line;
    }
  }),
  brokenRuntime(
    "the log of what has ended is empty",
    "logs of an instance that has ended can be read",
    (runtime) => ({
      logs: async function* (instanceId, options = {}) {
        const found = (await runtime.list()).find((instance) => instance.instanceId === instanceId);
        if (options.follow !== true && found?.state === "exited") return;
        yield* runtime.logs(instanceId, options);
      },
    }),
  ),
  ...(["doubled", "lost"] as const).map((fate) =>
    brokenLogs(
      `every tenth line of a followed log is ${fate}`,
      FOLLOWED,
      async function* (runtime, id, options) {
        let count = 0;
        for await (const line of runtime.logs(id, options)) {
          count += 1;
          const isTenth = options.follow === true && count % 10 === 0;
          if (!isTenth || fate === "doubled") yield line;
          if (isTenth && fate === "doubled") yield line;
        }
      },
    ),
  ),
  brokenRuntime("a followed log ends with its instance", OVER_THE_END, (runtime) => ({
    logs: async function* (instanceId, options = {}) {
      if (options.follow !== true) {
        yield* runtime.logs(instanceId, options);
        return;
      }
      const ended = new AbortController();
      const signal = AbortSignal.any([
        ended.signal,
        ...(options.signal === undefined ? [] : [options.signal]),
      ]);
      const watching = (async () => {
        const ends = hints(runtime, signal, (state) => state !== "running");
        await ends.next();
        ended.abort();
      })();
      yield* runtime.logs(instanceId, { ...options, signal });
      await watching;
    },
  })),
  brokenLogs("a followed log outlives the removal", OVER_THE_END, async function* (runtime, id, options) {
    yield* runtime.logs(id, options);
    const isKnown = (await runtime.list().catch(() => null))?.some(({ instanceId }) => instanceId === id);
    if (options.follow === true && isKnown === false) await untilAborted(options.signal);
  }),
  brokenLogs(
    "the signal of a followed log is ignored",
    "a followed log ends with its signal",
    (runtime, instanceId, { tail = 100, follow = false }) => runtime.logs(instanceId, { tail, follow }),
  ),
  brokenLogs(
    "a followed log of an unknown id waits for it",
    NOT_FOUND,
    async function* (runtime, id, options) {
      try {
        yield* runtime.logs(id, options);
      } catch (error) {
        if (options.follow !== true || !isDinpError(error, "DINP_NOT_FOUND")) throw error;
        await untilAborted(options.signal);
      }
    },
  ),
  brokenLogs("the log of an unknown id is empty", NOT_FOUND, async function* (runtime, id, options) {
    try {
      yield* runtime.logs(id, options);
    } catch (error) {
      if (!isDinpError(error, "DINP_NOT_FOUND")) throw error;
    }
  }),
  brokenRuntime("processor time is always none", STATS, (runtime) => ({
    stats: async (instanceId) => {
      const stats = await runtime.stats(instanceId);
      return stats === null ? null : { ...stats, cpuMs: 0 };
    },
  })),
  brokenRuntime("memory is told in megabytes", STATS, (runtime) => ({
    stats: async (instanceId) => {
      const stats = await runtime.stats(instanceId);
      return stats === null ? null : { ...stats, memoryBytes: stats.memoryBytes / 1024 ** 2 };
    },
  })),
];
