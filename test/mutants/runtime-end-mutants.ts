import { setTimeout as delay } from "node:timers/promises";
import { DinpError, isDinpError, type InstanceId } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenRuntime, loseChildren, type RuntimePort, telling } from "./support/broken-runtime.js";

const ASKS_FIRST = "stop asks first, lets what ends within its grace do so, and then the port is free";
const GRACE = "stop ends what does not end by itself, and not before the grace is over";
const REMOVES = "remove ends all processes at once and forgets the instance";
const UNKNOWN = "stop and remove of an unknown id do nothing";

/** Mutants of an instance's end. */
export const runtimeEndMutants: readonly Mutant<RuntimePort>[] = [
  brokenRuntime(
    "the code of an end is lost",
    "an end by itself is told with its code and the last lines of the log",
    (runtime) =>
      telling(runtime, (instance) =>
        instance.exit?.cause === "exited"
          ? { ...instance, exit: { ...instance.exit, code: null } }
          : instance,
      ),
  ),
  brokenRuntime(
    "an end over its memory is told as one by itself",
    "an instance over its memory is ended with that cause, and its limit is told",
    (runtime) =>
      telling(runtime, (instance) =>
        instance.exit?.cause === "memory"
          ? { ...instance, exit: { ...instance.exit, cause: "exited" } }
          : instance,
      ),
  ),
  brokenRuntime("stop ends at once, without asking", ASKS_FIRST, (runtime) => ({
    stop: (instanceId, options) => runtime.stop(instanceId, { ...options, graceMs: 0 }),
  })),
  brokenRuntime("stop does not wait for the end", ASKS_FIRST, (runtime) => ({
    stop: async (instanceId, options) => {
      const stopping = runtime.stop(instanceId, options);
      await Promise.race([stopping, delay(0)]);
      stopping.catch(() => undefined);
    },
  })),
  brokenRuntime("what ends when it is asked is told to have ended by itself", ASKS_FIRST, (runtime) => {
    const adopted = new Set<InstanceId>();
    return {
      ...telling(runtime, (instance) =>
        !adopted.has(instance.instanceId) && instance.exit?.cause === "stopped" && instance.exit.code === 0
          ? { ...instance, exit: { ...instance.exit, cause: "exited" } }
          : instance,
      ),
      open: async (options) => {
        await runtime.open(options);
        for (const { instanceId } of await runtime.list()) adopted.add(instanceId);
      },
    };
  }),
  brokenRuntime("the last line before an end by stop is lost", ASKS_FIRST, (runtime) =>
    telling(runtime, (instance) =>
      instance.exit?.cause === "stopped"
        ? { ...instance, exit: { ...instance.exit, logTail: instance.exit.logTail.slice(0, -1) } }
        : instance,
    ),
  ),
  brokenRuntime("the grace is cut to whole seconds", GRACE, (runtime) => ({
    stop: (instanceId, options) =>
      runtime.stop(instanceId, { ...options, graceMs: Math.floor(options.graceMs / 1_000) * 1_000 }),
  })),
  brokenRuntime("stop asks and never insists", GRACE, (runtime) => ({
    stop: (instanceId, options) =>
      runtime.stop(instanceId, { ...options, graceMs: options.graceMs > 0 ? 3_600_000 : 0 }),
  })),
  brokenRuntime(
    "stop ends the first process only",
    "stop ends all processes, also those that went their own way",
    (runtime, machine) => ({
      stop: (...call) => {
        loseChildren(machine, "instance");
        return runtime.stop(...call);
      },
    }),
  ),
  brokenRuntime("remove forgets an instance and leaves it running", REMOVES, (runtime) => {
    const forgotten = new Set<InstanceId>();
    return {
      remove: (instanceId) => {
        forgotten.add(instanceId);
        return Promise.resolve();
      },
      list: async (options) =>
        (await runtime.list(options)).filter(({ instanceId }) => !forgotten.has(instanceId)),
      logs: (instanceId, options) => runtime.logs(forgotten.has(instanceId) ? "" : instanceId, options),
      stats: (instanceId) => runtime.stats(forgotten.has(instanceId) ? "" : instanceId),
    };
  }),
  brokenRuntime("the log of what was removed is empty", REMOVES, (runtime) => {
    const removed = new Set<InstanceId>();
    return {
      remove: async (instanceId, options) => {
        const isKnown = (await runtime.list(options)).some((instance) => instance.instanceId === instanceId);
        await runtime.remove(instanceId, options);
        if (isKnown) removed.add(instanceId);
      },
      logs: async function* (instanceId, options) {
        if (!removed.has(instanceId)) yield* runtime.logs(instanceId, options);
      },
    };
  }),
  brokenRuntime("remove ends the first process only", REMOVES, (runtime, machine) => ({
    remove: (...call) => {
      loseChildren(machine, "instance");
      return runtime.remove(...call);
    },
  })),
  brokenRuntime(
    "an instance that never ran cannot be removed",
    "an instance that has ended can be removed",
    (runtime) => ({
      remove: async (instanceId, options) => {
        const found = (await runtime.list()).find((instance) => instance.instanceId === instanceId);
        if (found?.exit?.cause === "start") throw new DinpError("DINP_NOT_FOUND", "It has no process.");
        await runtime.remove(instanceId, options);
      },
    }),
  ),
  brokenRuntime("an id of another form is refused by stop", UNKNOWN, (runtime) => ({
    stop: async (instanceId, options) => {
      if (!instanceId.startsWith("i-")) throw new DinpError("DINP_INVALID", "That is no instance id.");
      await runtime.stop(instanceId, options);
    },
  })),
  brokenRuntime("an id of another form is refused by remove", UNKNOWN, (runtime) => ({
    remove: async (instanceId, options) => {
      if (!instanceId.startsWith("i-")) throw new DinpError("DINP_INVALID", "That is no instance id.");
      await runtime.remove(instanceId, options);
    },
  })),
  brokenRuntime(
    "a stop after the end is its cause",
    "an instance that has ended can be stopped again, and its end stays the same",
    (runtime) => {
      const stopped = new Set<string>();
      return {
        ...telling(runtime, (instance) =>
          instance.exit !== null && stopped.has(instance.instanceId)
            ? { ...instance, exit: { ...instance.exit, cause: "stopped" } }
            : instance,
        ),
        stop: async (instanceId, options) => {
          await runtime.stop(instanceId, options);
          stopped.add(instanceId);
        },
      };
    },
  ),
  brokenRuntime(
    "a removal amid a stop is refused",
    "a start, stops and removals of one instance may run together",
    (runtime) => {
      const stopping = new Set<string>();
      return {
        stop: async (instanceId, options) => {
          stopping.add(instanceId);
          await runtime.stop(instanceId, options).finally(() => stopping.delete(instanceId));
        },
        remove: async (instanceId, options) => {
          if (stopping.has(instanceId)) throw new DinpError("DINP_BUSY", "It is being stopped.");
          await runtime.remove(instanceId, options);
        },
      };
    },
  ),
  brokenRuntime("an abort amid a stop is ignored", "an abort ends the wait for a stop", (runtime) => ({
    stop: (instanceId, { graceMs, signal }) =>
      runtime.stop(instanceId, { graceMs, ...(signal?.aborted === true ? { signal } : {}) }),
  })),
  brokenRuntime(
    "an abort amid a stop is told as an outage",
    "an abort ends the wait for a stop",
    (runtime) => ({
      stop: async (instanceId, options) => {
        const wasAborted = options.signal?.aborted === true;
        try {
          await runtime.stop(instanceId, options);
        } catch (error) {
          if (wasAborted || !isDinpError(error, "DINP_ABORTED")) throw error;
          throw new DinpError("DINP_UNAVAILABLE", "The stop failed.", { retryable: true });
        }
      },
    }),
  ),
];
