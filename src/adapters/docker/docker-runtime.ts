import { setMaxListeners } from "node:events";
import {
  type AppGrants,
  DinpError,
  isDinpError,
  type ExecEvent,
  type ExecOptions,
  type ImageRef,
  type InstanceSpec,
  type InstanceStats,
  type LogLine,
  type Runtime,
  type RuntimeCapacity,
  type RuntimeInstance,
  type RunSpec,
} from "@dinp/core";
import { apart, beside, notRunning } from "./commands.js";
import { asDinpError } from "./engine-refusal.js";
import { TAIL_LINES_MAX } from "./instance-log.js";
import { followLog } from "./follow-log.js";
import { isClusterId, isInstanceId } from "./names.js";
import { openEngine, type OpenedEngine } from "./opened-engine.js";
import type { DockerRuntimeOptions } from "./options.js";
import { startContainer, startInstance } from "./starts.js";
import { closedError, noInstance, notPrepared } from "../runtime/errors.js";
import { readStats } from "./stats.js";
import { Gate, KeyedQueue, orAborted, throwIfAborted, Watcher } from "../runtime/waiting.js";

const DEFAULT_TAIL = 100;
/** Starts at the same time: an engine does most of a start in turn. */
const STARTS_MAX = 4;

/**
 * Makes a runtime that runs instances as containers of a Docker engine (20.10 or later; Linux on x86-64 or arm64), which may be
 * on another machine. Containers are named `dinp-CLUSTER-INSTANCE` and are never restarted by the engine; what is known of them
 * is kept by the engine alone, so the next run adopts them. By default they have no capability, gain no privileges, write to
 * nothing but `/tmp` and their `HOME` (both in memory, within their limit), and are not root.
 *
 * Besides the port's: `DINP_DRIVER_MISSING` from `open` without the package `dockerode`; `DINP_CONFLICT` from `start` when a
 * container that is not the cluster's has the name.
 */
export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  if (!isClusterId(options.clusterId))
    throw new TypeError(`${JSON.stringify(options.clusterId)} cannot be a cluster id of a docker runtime.`);
  return new DockerRuntime(options);
}

class DockerRuntime implements Runtime {
  readonly #options: DockerRuntimeOptions;
  readonly #queue = new KeyedQueue();
  readonly #starts = new Gate(STARTS_MAX);
  readonly #watchers = new Set<Watcher>();
  readonly #closing = new AbortController();
  /** Images of starts and one-offs that are under way, which no container holds yet. */
  readonly #needed = new Map<number, ImageRef>();
  #count = 0;
  #state: "new" | "opening" | "open" | "closed" = "new";
  #opened: OpenedEngine | null = null;
  #opening: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(options: DockerRuntimeOptions) {
    this.#options = options;
    // Every command and every stop waits with it.
    setMaxListeners(0, this.#closing.signal);
  }

  async open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#state === "closed") throw closedError();
    if (this.#state !== "new") throw new TypeError("A runtime is opened once.");
    this.#state = "opening";
    const opening = this.#open(options.signal);
    this.#opening = opening.catch(() => undefined);
    try {
      await opening;
    } catch (error) {
      // After a failure it may be opened again.
      this.#state = "new";
      throw asDinpError("Cannot open the runtime", error);
    }
  }

  async #open(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    this.#opened = await openEngine(this.#options, {
      signal,
      closing: this.#closing.signal,
      tell: (instanceId) => {
        for (const watcher of this.#watchers) watcher.push(instanceId);
      },
    });
    this.#state = "open";
  }

  async capacity(): Promise<RuntimeCapacity> {
    const { facts } = this.#use();
    return Promise.resolve({
      runtime: "docker",
      memoryMb: facts.memoryMb,
      cpuMillis: facts.cpuMillis,
      programs: null,
      memoryLimit: `cgroup v${facts.cgroupVersion}`,
    });
  }

  async prepareImage(image: ImageRef, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    await this.#guard("Cannot prepare the image", this.#use().images.prepare(image, options.signal));
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly RuntimeInstance[]> {
    throwIfAborted(options.signal);
    const { containers } = this.#use();
    const { signal } = options;
    return this.#guard(
      "Cannot list the instances",
      (async () => {
        const all = await containers.all(signal);
        containers.keepOnly(all);
        return containers.views(all, signal);
      })(),
    );
  }

  async start(spec: InstanceSpec, options: { readonly signal?: AbortSignal } = {}): Promise<RuntimeInstance> {
    assertSpec(spec);
    throwIfAborted(options.signal);
    this.#use();
    const started = this.#queue.run(spec.instanceId, () =>
      this.#starts.run(() => this.#needing(spec.image, () => this.#start(spec, options.signal))),
    );
    return this.#guard(`Cannot start instance ${spec.instanceId}`, orAborted(started, options.signal));
  }

  async #start(spec: InstanceSpec, signal: AbortSignal | undefined): Promise<RuntimeInstance> {
    const opened = this.#use();
    const { containers, images } = opened;
    const present = await containers.find(spec.instanceId);
    const view = present === null ? null : await containers.view(present);
    if (view !== null) return view;
    throwIfAborted(signal);
    // A start that was interrupted before it started anything.
    if (present?.state === "created") return startContainer(opened, present);
    const image = await images.find(spec.image);
    if (image === null) throw notPrepared(spec.image);
    return startInstance(opened, spec, image, grantsOf(spec, this.#options));
  }

  async stop(
    instanceId: string,
    options: { readonly graceMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const { graceMs, signal } = options;
    if (!(graceMs >= 0)) throw new TypeError(`graceMs must not be negative, and it is ${String(graceMs)}.`);
    throwIfAborted(signal);
    this.#use();
    const stopped = (async () => {
      // A start that is under way is waited for; then there is something to stop.
      await this.#queue.idle(instanceId);
      const { containers, stops } = this.#use();
      const present = await containers.findOwn(instanceId);
      if (present?.state === "running" || present?.state === "paused") await stops.stop(present, graceMs);
    })();
    await this.#guard(`Cannot stop instance ${instanceId}`, orAborted(stopped, signal));
  }

  async remove(instanceId: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    this.#use();
    const removed = this.#queue.run(instanceId, async () => {
      const { containers, remover, followers } = this.#use();
      const present = await containers.findOwn(instanceId);
      if (present === null) return;
      containers.noteStop(present.id);
      await remover.remove(present.id);
      followers.tellRemoved(present.id);
      for (const watcher of this.#watchers) watcher.push(instanceId);
    });
    await this.#guard(`Cannot remove instance ${instanceId}`, orAborted(removed, options.signal));
  }

  watch(options: { readonly signal: AbortSignal }): AsyncIterable<string> {
    this.#use();
    const watcher = new Watcher(options.signal, (ended) => this.#watchers.delete(ended));
    if (!options.signal.aborted) this.#watchers.add(watcher);
    return watcher;
  }

  async *logs(
    instanceId: string,
    options: { readonly tail?: number; readonly follow?: boolean; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogLine, void, undefined> {
    const opened = this.#use();
    const { tail = DEFAULT_TAIL, follow = false, signal } = options;
    if (!Number.isInteger(tail) || tail < 0)
      throw new TypeError(`tail must be a whole number, and it is ${String(tail)}.`);
    const what = `Cannot read the log of instance ${instanceId}`;
    const container = await this.#guard(what, opened.containers.findOwn(instanceId));
    if (container === null) throw noInstance(instanceId);
    try {
      const range = { tail: Math.min(tail, TAIL_LINES_MAX), follow, signal };
      for await (const text of followLog(opened, container, range, this.#closing.signal))
        yield { instanceId, text };
    } catch (error) {
      throw this.#explained(what, error);
    }
  }

  async stats(instanceId: string): Promise<InstanceStats | null> {
    const { engine, containers } = this.#use();
    return this.#guard(
      `Cannot read what instance ${instanceId} uses`,
      (async () => {
        const container = await containers.findOwn(instanceId);
        return container?.state === "running" ? readStats(engine, container) : null;
      })(),
    );
  }

  async *exec(instanceId: string, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const opened = this.#use();
    const { containers, executions } = opened;
    try {
      yield* executions.execute(options, async (token) => {
        const container = await containers.findOwn(instanceId);
        if (container === null) throw noInstance(instanceId);
        if (container.state !== "running") throw notRunning(instanceId);
        return beside(opened, container, options, token);
      });
    } catch (error) {
      throw this.#explained("Cannot run the command", error);
    }
  }

  async *run(spec: RunSpec, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const { engine, executions, images, defaults } = this.#use();
    this.#count += 1;
    const key = this.#count;
    // Held before it is asked for: a prune in between would take the image away.
    this.#needed.set(key, spec.image);
    try {
      yield* executions.execute(options, async (token) => {
        assertRunSpec(spec);
        const image = await images.find(spec.image);
        if (image === null) throw notPrepared(spec.image);
        const grants = grantsOf(spec, this.#options);
        const plan = { spec, image, grants, token, startedAt: 0, problem: null };
        return apart(engine, defaults, plan, options);
      });
    } catch (error) {
      throw this.#explained("Cannot run the command", error);
    } finally {
      this.#needed.delete(key);
    }
  }

  async pruneImages(keep: readonly ImageRef[]): Promise<void> {
    const { images, containers } = this.#use();
    await this.#guard(
      "Cannot remove images",
      (async () => {
        const used = await containers.images();
        await images.prune([...keep, ...this.#needed.values(), ...used]);
      })(),
    );
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#opening;
    this.#state = "closed";
    // A start under way is brought to its end: its container runs, or is gone.
    await this.#starts.idle();
    this.#closing.abort();
    for (const watcher of [...this.#watchers]) watcher.end();
    await this.#opened?.close();
    await this.#queue.allIdle();
  }

  async #needing<T>(image: ImageRef, work: () => Promise<T>): Promise<T> {
    this.#count += 1;
    const key = this.#count;
    this.#needed.set(key, image);
    try {
      return await work();
    } finally {
      this.#needed.delete(key);
    }
  }

  #use(): OpenedEngine {
    if (this.#state === "closed") throw closedError();
    if (this.#state !== "open" || this.#opened === null)
      throw new TypeError("The runtime is not open; call open() first.");
    return this.#opened;
  }

  async #guard<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#explained(what, error);
    }
  }

  #explained(what: string, error: unknown): unknown {
    if (this.#closing.signal.aborted && !isDinpError(error, "DINP_ABORTED")) return closedError();
    return asDinpError(what, error);
  }
}

/** Throws `DINP_INVALID` unless the spec can be given to a container. */
function assertSpec(spec: InstanceSpec): void {
  assertRunSpec(spec);
  if (Number.isInteger(spec.port) && spec.port >= 1 && spec.port <= 65_535) return;
  throw new DinpError("DINP_INVALID", `${String(spec.port)} is not a port.`, { hint: "Use 1 to 65535." });
}

function assertRunSpec({ instanceId, memoryMb }: RunSpec): void {
  if (!isInstanceId(instanceId)) {
    throw new DinpError("DINP_INVALID", `${JSON.stringify(instanceId.slice(0, 80))} is not an instance id.`, {
      hint: "Use 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.",
    });
  }
  if (Number.isInteger(memoryMb) && memoryMb >= 1) return;
  throw new DinpError("DINP_INVALID", `${String(memoryMb)} MB is not an amount of memory.`, {
    hint: "Use a whole number of megabytes.",
  });
}

/** What the instance or one-off may do beyond the default. */
function grantsOf(spec: InstanceSpec | RunSpec, { hardening }: DockerRuntimeOptions): AppGrants {
  return hardening === undefined ? (spec.grants ?? {}) : hardening(spec);
}
