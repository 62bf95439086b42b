import {
  DinpError,
  isDinpError,
  type ImageRef,
  type InstanceSpec,
  type Runtime,
  type RuntimeInstance,
} from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenRuntime, failed, type RuntimePort } from "./support/broken-runtime.js";
import type { MemoryMachine } from "./support/memory-runtime/machine.js";

const ANSWERS = "an instance answers on its port with its environment, and is listed";
const PLATFORM_WINS = "the platform's variables win over the app's";
const ONCE_AT_A_TIME = "starts of one instance at the same time and later ones make it run once";
const NOT_EXECUTABLE = "a command that cannot be executed gives an exited instance that names the program";
const PORT_TAKEN = "an instance whose port is taken ends, and the one that has it goes on";
const ABORTED_BEFORE = "a start that is aborted before it began starts nothing";

/** A runtime on which the app's own value of a variable counts. */
function appWins(variable: "PORT" | "HOME") {
  return (runtime: Runtime, machine: MemoryMachine): Partial<Runtime> => ({
    start: (spec, options) => {
      const own = spec.env[variable];
      if (own !== undefined)
        machine.onSpawn = (asked) => ({ ...asked, env: { ...asked.env, [variable]: own } });
      return runtime.start(spec, options);
    },
  });
}

async function startAnew(runtime: Runtime, spec: InstanceSpec): ReturnType<Runtime["start"]> {
  await runtime.remove(spec.instanceId);
  return runtime.start(spec);
}

function exitedBeforeItsStart({ instanceId, appId, releaseId, port }: InstanceSpec): RuntimeInstance {
  const exit = {
    at: 0,
    cause: "start",
    code: null,
    signal: null,
    message: "No image.",
    logTail: [],
  } as const;
  return { instanceId, appId, releaseId, port, host: "127.0.0.1", startedAt: 0, state: "exited", exit };
}

/** Mutants of the capacity, of `start` and of images. */
export const runtimeStartMutants: readonly Mutant<RuntimePort>[] = [
  brokenRuntime(
    "tells its memory in gigabytes",
    "the capacity is that of a node on which the image's programs run",
    (runtime) => ({
      capacity: async () => {
        const capacity = await runtime.capacity();
        return { ...capacity, memoryMb: Math.floor(capacity.memoryMb / 1024) };
      },
    }),
  ),
  brokenRuntime("takes a port that somebody has for an outage", PORT_TAKEN, (runtime) => ({
    start: async (spec, options) => {
      const started = await runtime.start(spec, options);
      const others = (await runtime.list()).filter(({ instanceId }) => instanceId !== spec.instanceId);
      if (others.some(({ state, port }) => state === "running" && port === spec.port))
        throw new DinpError("DINP_UNAVAILABLE", "The port is taken.", { retryable: true });
      return started;
    },
  })),
  brokenRuntime("leaves empty variables out", ANSWERS, (runtime) => ({
    start: (spec, options) => {
      const env = Object.fromEntries(Object.entries(spec.env).filter(([, value]) => value !== ""));
      return runtime.start({ ...spec, env }, options);
    },
  })),
  brokenRuntime("a shell evaluates the app's variables", ANSWERS, (runtime) => ({
    start: (spec, options) => {
      const env = Object.entries(spec.env).map(([name, value]) => [name, value.replaceAll("$HOME", "/root")]);
      return runtime.start({ ...spec, env: Object.fromEntries(env) as typeof spec.env }, options);
    },
  })),
  brokenRuntime("the app's PORT wins", PLATFORM_WINS, appWins("PORT")),
  brokenRuntime("the app's HOME wins", PLATFORM_WINS, appWins("HOME")),
  brokenRuntime("a start of what runs restarts it", ONCE_AT_A_TIME, (runtime) => ({
    start: (spec) => startAnew(runtime, spec),
  })),
  brokenRuntime("a start while the same is being started is refused", ONCE_AT_A_TIME, (runtime) => {
    const starting = new Set<string>();
    return {
      start: async (spec, options) => {
        if (starting.has(spec.instanceId)) throw new DinpError("DINP_BUSY", "It is being started.");
        starting.add(spec.instanceId);
        return runtime.start(spec, options).finally(() => starting.delete(spec.instanceId));
      },
    };
  }),
  brokenRuntime(
    "a start while another instance is being started is refused",
    "different instances start, and end, at the same time",
    (runtime) => {
      let starting: string | null = null;
      return {
        start: async (spec, options) => {
          if (starting !== null && starting !== spec.instanceId)
            throw new DinpError("DINP_BUSY", "Another instance is being started.");
          starting = spec.instanceId;
          return runtime.start(spec, options).finally(() => (starting = null));
        },
      };
    },
  ),
  brokenRuntime(
    "a start after the end runs the instance again",
    "an instance id runs once: a start after its end gives the end",
    (runtime) => ({
      start: async (spec, options) => {
        const started = await runtime.start(spec, options);
        return started.exit?.cause === "stopped" ? startAnew(runtime, spec) : started;
      },
    }),
  ),
  brokenRuntime(
    "a start after the end gives an end of its own making",
    "an instance id runs once: a start after its end gives the end",
    (runtime) => ({
      start: async (spec, options) => {
        const started = await runtime.start(spec, options);
        if (started.exit?.cause !== "stopped") return started;
        return { ...started, exit: { ...started.exit, message: "It ran before.", logTail: [] } };
      },
    }),
  ),
  brokenRuntime("a command that cannot be executed is an error", NOT_EXECUTABLE, (runtime) => ({
    start: async (spec, options) => {
      const started = await runtime.start(spec, options);
      if (started.exit?.cause !== "start") return started;
      await runtime.remove(spec.instanceId);
      throw new DinpError("DINP_PROGRAM_MISSING", started.exit.message);
    },
  })),
  brokenRuntime("a program that is missing is not named", NOT_EXECUTABLE, (runtime) => ({
    start: async (spec, options) => {
      const started = await runtime.start(spec, options);
      if (started.exit?.cause !== "start") return started;
      return { ...started, exit: { ...started.exit, message: "spawn ENOENT" } };
    },
  })),
  brokenRuntime("an abort before a start is told after it", ABORTED_BEFORE, (runtime) => ({
    start: async (spec, options) => {
      const started = await runtime.start(spec);
      if (options?.signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The call was aborted.");
      return started;
    },
  })),
  brokenRuntime(
    "an abort amid a start is told with the caller's own reason",
    "a start that is aborted amid it says so, or has started",
    (runtime) => ({
      start: async (spec, options) => {
        const started = await runtime.start(spec, options);
        options?.signal?.throwIfAborted();
        return started;
      },
    }),
  ),
  brokenRuntime(
    "an image that is not there is noticed by the start only",
    "an image that is not there cannot be prepared",
    (runtime) => ({
      prepareImage: async (...call) => {
        const code = await failed(runtime.prepareImage(...call));
        if (code !== null && code !== "DINP_IMAGE_NOT_FOUND") await runtime.prepareImage(...call);
      },
    }),
  ),
  brokenRuntime(
    "a start that is refused for its image leaves an instance behind",
    "an image that is not prepared is not started",
    (runtime) => {
      const refused: RuntimeInstance[] = [];
      return {
        start: async (spec, options) => {
          try {
            return await runtime.start(spec, options);
          } catch (error) {
            if (isDinpError(error, "DINP_IMAGE_NOT_FOUND")) refused.push(exitedBeforeItsStart(spec));
            throw error;
          }
        },
        list: async (options) => [...(await runtime.list(options)), ...refused],
      };
    },
  ),
  brokenRuntime(
    "an image that is there already is in the way of a second preparation",
    "an image is prepared for callers at the same time, and again, as once",
    (runtime) => {
      const prepared = new Set<string>();
      return {
        prepareImage: async (image, options) => {
          await runtime.prepareImage(image, options);
          if (prepared.has(image.digest)) throw new DinpError("DINP_CONFLICT", "The folder exists.");
          prepared.add(image.digest);
        },
        pruneImages: (keep) => {
          prepared.clear();
          return runtime.pruneImages(keep);
        },
      };
    },
  ),
  brokenRuntime(
    "the digest is not checked",
    "an image whose bytes are not what its digest says is refused, and is not prepared",
    (runtime) => ({
      prepareImage: async (...call) => {
        const code = await failed(runtime.prepareImage(...call));
        if (code !== null && code !== "DINP_DIGEST_MISMATCH") await runtime.prepareImage(...call);
      },
    }),
  ),
  brokenRuntime("pruning looks at instances only", "pruning keeps the images of the list", (runtime) => ({
    pruneImages: () => runtime.pruneImages([]),
  })),
  brokenRuntime(
    "pruning removes instances that have ended, too",
    "pruning keeps the images of instances, running or exited",
    (runtime) => ({
      pruneImages: async (keep) => {
        for (const { instanceId, state } of await runtime.list())
          if (state === "exited") await runtime.remove(instanceId);
        await runtime.pruneImages(keep);
      },
    }),
  ),
  brokenRuntime(
    "pruning keeps all that was ever prepared",
    "pruning forgets what nothing needs, until it is prepared again",
    (runtime) => {
      const prepared: ImageRef[] = [];
      return {
        prepareImage: (image, options) => {
          prepared.push(image);
          return runtime.prepareImage(image, options);
        },
        pruneImages: () => runtime.pruneImages(prepared),
      };
    },
  ),
];
