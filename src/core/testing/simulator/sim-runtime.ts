import { onAbort } from "../../loops/abort.js";
import { DinpError } from "../../model/errors.js";
import type { InstanceId } from "../../model/records.js";
import type { ExecEvent, LogLine, Runtime } from "../../ports/runtime.js";
import type { SimNode } from "./sim-node.js";
import { never, type SimProcess } from "./sim-process.js";

/** One process's way to the images and instances of its node. */
export function createSimRuntime(process: SimProcess, node: SimNode): Runtime {
  const call = process.call.bind(process);
  return {
    open: () => Promise.resolve(),
    capacity: () =>
      call("runtime", "capacity", () =>
        Promise.resolve({
          runtime: "simulated",
          memoryMb: 4_096,
          cpuMillis: 8_000,
          programs: null,
          memoryLimit: "none",
        }),
      ),
    prepareImage: (image, options = {}) =>
      call("runtime", "prepareImage", () => node.prepare(image), options),
    list: (options = {}) => call("runtime", "list", () => Promise.resolve(node.list()), options),
    start: (spec, options = {}) =>
      call("runtime", "start", () => Promise.resolve(node.start(spec)), { isWrite: true, ...options }),
    stop: (instanceId, { graceMs, signal }) =>
      call("runtime", "stop", () => node.stop(instanceId, graceMs), { isWrite: true, signal }),
    remove: (instanceId, options = {}) =>
      call("runtime", "remove", () => node.remove(instanceId), { isWrite: true, ...options }),
    watch: ({ signal }) =>
      process.watch("runtime", (inner) => hints(process, node, inner), { signal, isHint: true }),
    logs: () => noLines(),
    exec: () => noCommands(),
    run: () => noCommands(),
    stats: () => Promise.resolve(null),
    pruneImages: (keep) => call("runtime", "pruneImages", () => node.prune(keep), { isWrite: true }),
    close: () => Promise.resolve(),
  };
}

async function* hints(
  process: SimProcess,
  node: SimNode,
  signal: AbortSignal,
): AsyncGenerator<InstanceId, void> {
  const news: InstanceId[] = [];
  let wake: () => void = () => undefined;
  const forget = node.onEnd((instanceId) => {
    news.push(instanceId);
    wake();
  });
  const detach = onAbort(signal, () => {
    wake();
  });
  try {
    while (!signal.aborted) {
      const next = news.shift();
      if (next !== undefined) yield next;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    if (process.isDead) await never();
  } finally {
    forget();
    detach();
  }
}

async function* noCommands(): AsyncGenerator<ExecEvent, void> {
  await Promise.reject(new DinpError("DINP_UNAVAILABLE", "No command is run in the simulated world."));
  yield* [];
}

async function* noLines(): AsyncGenerator<LogLine, void> {
  await Promise.resolve();
  yield* [];
}
