import { isDinpError, type InstanceId, type Runtime, type RuntimeInstance } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenRuntime, type RuntimePort } from "./support/broken-runtime.js";
import type { MemoryMachine } from "./support/memory-runtime/machine.js";

const OPEN_FIRST = "nothing is called before open, and open is called once";
const ADOPTS = "a new run adopts running instances and remembers ended ones";
const LIST = "the list has running and exited instances, by instance id";
const ABORTED = "an aborted signal rejects every call with DINP_ABORTED and changes nothing";
const CLOSE = "close ends watches and followers, and leaves instances running";
const CLOSED = "after close every method rejects with DINP_CLOSED";
const FOREIGN = "instances of another cluster are neither listed nor touched";
const CANNOT_TELL =
  "a runtime that cannot tell rejects with DINP_UNAVAILABLE, retryable: it never says that nothing is there";

type Signalled = { readonly signal?: AbortSignal } | undefined;

/** Without the signal when it has aborted already. */
function deafBefore<T extends Signalled>(options: T): T | undefined {
  return options?.signal?.aborted === true ? undefined : options;
}

/** The ids of what has ended before this run. */
async function endedBefore(runtime: Runtime): Promise<ReadonlySet<InstanceId>> {
  const ended = (await runtime.list()).filter(({ state }) => state === "exited");
  return new Set(ended.map(({ instanceId }) => instanceId));
}

const neighbours = new WeakMap<MemoryMachine, Set<Runtime>>();

/** All runtimes of the machine, of whatever cluster. */
function allOn(machine: MemoryMachine, runtime: Runtime): ReadonlySet<Runtime> {
  const all = neighbours.get(machine) ?? new Set();
  neighbours.set(machine, all.add(runtime));
  return all;
}

/** Mutants of `open`, `list` and `close`, of aborts, of other clusters and of what cannot be told. */
export const runtimeLifecycleMutants: readonly Mutant<RuntimePort>[] = [
  brokenRuntime("a second open is taken for none", OPEN_FIRST, (runtime) => ({
    open: async (options) => {
      try {
        await runtime.open(options);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
    },
  })),
  brokenRuntime("before open the list is empty", OPEN_FIRST, (runtime) => {
    let isOpen = false;
    return {
      open: async (options) => {
        await runtime.open(options);
        isOpen = true;
      },
      list: (options) => (isOpen ? runtime.list(options) : Promise.resolve([])),
    };
  }),
  brokenRuntime("an abort before open is ignored", OPEN_FIRST, (runtime) => ({
    open: (options) => runtime.open(deafBefore(options)),
  })),
  brokenRuntime("a new run has forgotten what has ended", ADOPTS, (runtime) => {
    let forgotten: ReadonlySet<InstanceId> = new Set();
    return {
      open: async (options) => {
        await runtime.open(options);
        forgotten = await endedBefore(runtime);
      },
      list: async (options) =>
        (await runtime.list(options)).filter(({ instanceId }) => !forgotten.has(instanceId)),
    };
  }),
  brokenRuntime("a new run ends what it finds running", ADOPTS, (runtime) => ({
    open: async (options) => {
      await runtime.open(options);
      for (const { instanceId } of await runtime.list()) await runtime.stop(instanceId, { graceMs: 0 });
    },
  })),
  brokenRuntime("a new run starts again what had ended", ADOPTS, (runtime) => {
    let ended: ReadonlySet<InstanceId> = new Set();
    return {
      open: async (options) => {
        await runtime.open(options);
        ended = await endedBefore(runtime);
      },
      start: async (spec, options) => {
        if (ended.has(spec.instanceId)) await runtime.remove(spec.instanceId);
        return runtime.start(spec, options);
      },
    };
  }),
  brokenRuntime("the list is in the order of starts", LIST, (runtime) => {
    const started: InstanceId[] = [];
    const placeOf = ({ instanceId }: RuntimeInstance): number => started.indexOf(instanceId);
    return {
      start: async (spec, options) => {
        started.push(spec.instanceId);
        return await runtime.start(spec, options);
      },
      list: async (options) => [...(await runtime.list(options))].sort((a, b) => placeOf(a) - placeOf(b)),
    };
  }),
  brokenRuntime("the list is by numbers within ids", LIST, (runtime) => ({
    list: async (options) => {
      const byNumber = new Intl.Collator("en", { numeric: true });
      return [...(await runtime.list(options))].sort((a, b) => byNumber.compare(a.instanceId, b.instanceId));
    },
  })),
  brokenRuntime("the list leaves out what has ended", LIST, (runtime) => ({
    list: async (options) => (await runtime.list(options)).filter(({ state }) => state === "running"),
  })),
  brokenRuntime("an abort before a list is ignored", ABORTED, (runtime) => ({
    list: (options) => runtime.list(deafBefore(options)),
  })),
  brokenRuntime("an abort before a preparation is ignored", ABORTED, (runtime) => ({
    prepareImage: (image, options) => runtime.prepareImage(image, deafBefore(options)),
  })),
  brokenRuntime("an abort before a stop is ignored", ABORTED, (runtime) => ({
    stop: (instanceId, { graceMs, signal }) =>
      runtime.stop(instanceId, { graceMs, ...(signal?.aborted === false ? { signal } : {}) }),
  })),
  brokenRuntime("an abort before a removal is told after it", ABORTED, (runtime) => ({
    remove: async (instanceId, options) => {
      await runtime.remove(instanceId);
      if (options?.signal?.aborted === true) await runtime.remove(instanceId, options);
    },
  })),
  brokenRuntime("a watch outlives its runtime", CLOSE, (runtime) => ({
    watch: async function* ({ signal }) {
      yield* runtime.watch({ signal });
      if (signal.aborted) return;
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
      });
    },
  })),
  brokenRuntime("close stops the instances", CLOSE, (runtime) => ({
    close: async () => {
      for (const { instanceId } of await runtime.list().catch(() => []))
        await runtime.stop(instanceId, { graceMs: 0 });
      await runtime.close();
    },
  })),
  brokenRuntime("close waits for stops that are under way", "close does not wait for a stop", (runtime) => {
    const stops = new Set<Promise<void>>();
    return {
      stop: async (...call) => {
        const stopping = runtime.stop(...call);
        stops.add(stopping);
        await stopping.finally(() => stops.delete(stopping));
      },
      close: async () => {
        await Promise.allSettled(stops);
        await runtime.close();
      },
    };
  }),
  brokenRuntime("after close the list is empty", CLOSED, (runtime) => ({
    list: async (options) => {
      try {
        return await runtime.list(options);
      } catch (error) {
        if (isDinpError(error, "DINP_CLOSED")) return [];
        throw error;
      }
    },
  })),
  brokenRuntime("after close a watch ends in peace", CLOSED, (runtime) => ({
    watch: async function* (options) {
      try {
        yield* runtime.watch(options);
      } catch (error) {
        if (!isDinpError(error, "DINP_CLOSED")) throw error;
      }
    },
  })),
  brokenRuntime("instances of other clusters are listed", FOREIGN, (runtime, machine) => {
    const all = allOn(machine, runtime);
    return {
      list: async (options) => {
        const own = await runtime.list(options);
        const others = [...all].filter((other) => other !== runtime);
        return [...own, ...(await Promise.all(others.map((other) => other.list().catch(() => [])))).flat()];
      },
    };
  }),
  brokenRuntime("an instance of another cluster is stopped by its id", FOREIGN, (runtime, machine) => {
    const all = allOn(machine, runtime);
    return {
      stop: async (...call) => {
        const others = [...all].filter((other) => other !== runtime);
        await Promise.all([
          runtime.stop(...call),
          ...others.map((other) => other.stop(...call).catch(() => null)),
        ]);
      },
    };
  }),
  brokenRuntime("a list that cannot be read is shown as an empty one", CANNOT_TELL, (runtime) => ({
    list: async (options) => {
      try {
        return await runtime.list(options);
      } catch (error) {
        if (isDinpError(error, "DINP_UNAVAILABLE")) return [];
        throw error;
      }
    },
  })),
  brokenRuntime("an instance that cannot be looked for has no stats", CANNOT_TELL, (runtime) => ({
    stats: async (instanceId) => {
      try {
        return await runtime.stats(instanceId);
      } catch (error) {
        if (isDinpError(error, "DINP_UNAVAILABLE")) return null;
        throw error;
      }
    },
  })),
];
