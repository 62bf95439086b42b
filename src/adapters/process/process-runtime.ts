import { setMaxListeners } from "node:events";
import { readdir } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import {
  DinpError,
  isDinpError,
  messageOf,
  type ExecEvent,
  type ExecOptions,
  type ImageRef,
  type InstanceSpec,
  type InstanceStats,
  type LogLine,
  type RuntimeCapacity,
  type RunSpec,
  type RuntimeInstance,
} from "@dinp/core";
import { endStrayExecutions, Executions, notRunning } from "./executions.js";
import type { Instance } from "./instance.js";
import { openMachine, unlock, type OpenedMachine } from "./opened-machine.js";
import type { ProcessRuntime, ProcessRuntimeOptions } from "./options.js";
import { TAIL_LINES_MAX } from "./output-log.js";
import { removeInstanceFolder } from "./recovery.js";
import { restoreInstances } from "./restore.js";
import { assertSpec, startInstance } from "./start.js";
import { keepUp, SAMPLE_MS } from "./upkeep.js";
import { closedError, noInstance, notPrepared } from "../runtime/errors.js";
import { Gate, KeyedQueue, orAborted, throwIfAborted, Watcher } from "../runtime/waiting.js";

const CLUSTER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const DEFAULT_TAIL = 100;
/** Starts at the same time: each holds a few files and forks this process. */
const STARTS_MAX = 8;

/**
 * Makes a runtime that runs instances as processes of this machine (Linux), each in a session of its own, with its output in a
 * file, so that instances outlive the platform and are adopted by its next run. Identity is pid, start time and boot id; an app's
 * code runs only after these are on disk. When run by root each instance has a user of its own, no further groups, and (with
 * util-linux's `setpriv` present) gains no privileges by exec; its memory is limited by the kernel's controller (cgroup v2 or v1)
 * where it may be used, else by a sample every 500 ms.
 */
export function createProcessRuntime(options: ProcessRuntimeOptions): ProcessRuntime {
  if (!CLUSTER_ID.test(options.clusterId))
    throw new TypeError(`${JSON.stringify(options.clusterId)} cannot be a cluster id of a process runtime.`);
  return new PlainProcessRuntime(options);
}

class PlainProcessRuntime implements ProcessRuntime {
  readonly #options: ProcessRuntimeOptions;
  readonly #instances = new Map<string, Instance>();
  /** Images of starts that are under way, which no instance holds yet. */
  readonly #startingImages = new Map<string, ImageRef>();
  readonly #queue = new KeyedQueue();
  readonly #starts = new Gate(STARTS_MAX);
  readonly #watchers = new Set<Watcher>();
  readonly #closing = new AbortController();
  readonly #executions = new Executions(this.#closing.signal);
  #runs = 0;
  #state: "new" | "opening" | "open" | "closed" = "new";
  #opened: OpenedMachine | null = null;
  #opening: Promise<void> = Promise.resolve();
  #upkeep: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options;
    // Every instance that is being stopped waits with it.
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
      throw asUnavailable(`Cannot open the runtime in ${this.#options.dataDir}`, error);
    }
  }

  async #open(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    if (process.platform !== "linux")
      throw new DinpError(
        "DINP_UNAVAILABLE",
        `The process runtime needs Linux; this is ${process.platform}.`,
      );
    const opened = await openMachine(this.#options, {
      closing: this.#closing.signal,
      onChange: (instanceId) => {
        this.#tell(instanceId);
      },
    });
    try {
      await endStrayExecutions(opened, opened.data.runsDir);
      const restored = await restoreInstances(opened, opened.data.instancesDir);
      throwIfAborted(signal);
      for (const [instanceId, instance] of restored) this.#instances.set(instanceId, instance);
    } catch (error) {
      await unlock(opened);
      throw error;
    }
    this.#opened = opened;
    this.#state = "open";
    this.#upkeep = keepUp({
      instances: this.#instances,
      table: opened.instance.table,
      clock: this.#options.clock,
      logger: this.#options.logger,
      signal: this.#closing.signal,
    });
  }

  async capacity(): Promise<RuntimeCapacity> {
    const { programs, uidOf, cgroups } = this.#use();
    const constrained = process.constrainedMemory();
    const bytes = constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
    return {
      runtime: "process",
      memoryMb: Math.floor(bytes / 1024 ** 2),
      cpuMillis: availableParallelism() * 1000,
      programs: await programs.usable(uidOf(0)),
      memoryLimit:
        cgroups === null ? `sampled every ${String(SAMPLE_MS)} ms` : `cgroup v${String(cgroups.version)}`,
    };
  }

  async prepareImage(image: ImageRef, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#guard("Cannot prepare the image", this.#use().images.prepare(image, options.signal));
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly RuntimeInstance[]> {
    throwIfAborted(options.signal);
    const { data } = this.#use();
    // What is known is only worth telling while the records behind it are there.
    await this.#guard("Cannot list the instances", readdir(data.instancesDir));
    return [...this.#instances.values()]
      .map((instance) => instance.view())
      .sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  }

  async start(spec: InstanceSpec, options: { readonly signal?: AbortSignal } = {}): Promise<RuntimeInstance> {
    assertSpec(spec);
    throwIfAborted(options.signal);
    this.#use();
    const started = this.#queue.run(spec.instanceId, async () => {
      const opened = this.#use();
      const present = this.#instances.get(spec.instanceId);
      if (present !== undefined) return present.view();
      throwIfAborted(options.signal);
      return this.#starts.run(() => this.#startNew(opened, spec));
    });
    return this.#guard(`Cannot start instance ${spec.instanceId}`, orAborted(started, options.signal));
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
      const present = this.#instances.get(instanceId);
      // A start that is under way is waited for; then there is something to stop.
      if (present === undefined) await this.#queue.idle(instanceId);
      await this.#instances.get(instanceId)?.stop(graceMs);
    })();
    await this.#guard(`Cannot stop instance ${instanceId}`, orAborted(stopped, signal));
  }

  async stopAll(options: { readonly graceMs: number; readonly signal?: AbortSignal }): Promise<void> {
    this.#use();
    await orAborted(this.#queue.allIdle(), options.signal);
    await Promise.all([...this.#instances.keys()].map((instanceId) => this.stop(instanceId, options)));
  }

  async remove(instanceId: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    this.#use();
    const removed = this.#queue.run(instanceId, async () => {
      const { data } = this.#use();
      const instance = this.#instances.get(instanceId);
      if (instance === undefined) return;
      await instance.stop(0);
      await instance.sweep();
      await instance.endFollowers();
      await removeInstanceFolder(data.instancesDir, instanceId);
      this.#instances.delete(instanceId);
      this.#tell(instanceId);
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
    this.#use();
    const { tail = DEFAULT_TAIL, follow = false, signal } = options;
    if (!Number.isInteger(tail) || tail < 0)
      throw new TypeError(`tail must be a whole number, and it is ${String(tail)}.`);
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) throw noInstance(instanceId);
    const lines = instance.follow({
      tail: Math.min(tail, TAIL_LINES_MAX),
      follow,
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const text of lines) yield { instanceId, text };
  }

  async stats(instanceId: string): Promise<InstanceStats | null> {
    this.#use();
    return (await this.#instances.get(instanceId)?.stats()) ?? null;
  }

  async *exec(instanceId: string, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const opened = this.#use();
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) throw noInstance(instanceId);
    const { image } = instance.facts;
    if (!instance.running || image === null) throw notRunning(instanceId);
    yield* this.#executions.exec(opened, instance, opened.images.appDir(image), options);
  }

  async *run(spec: RunSpec, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const opened = this.#use();
    const { runsDir } = opened.data;
    this.#runs += 1;
    const key = `.run-${String(this.#runs)}`;
    const release = (): void => {
      this.#startingImages.delete(key);
    };
    // Held before it is asked for: a prune in between would take the image away.
    this.#startingImages.set(key, spec.image);
    try {
      await this.#assertImage(opened, spec.image);
      const places = { runsDir, appDir: opened.images.appDir(spec.image), release };
      yield* this.#executions.run(opened, spec, places, options);
    } finally {
      release();
    }
  }

  async pruneImages(keep: readonly ImageRef[]): Promise<void> {
    const { images } = this.#use();
    const needed: ImageRef[] = [...keep, ...this.#startingImages.values()];
    for (const { facts, running } of this.#instances.values()) {
      if (facts.image !== null) needed.push(facts.image);
      // An instance whose records are damaged runs from an image that nobody can name.
      else if (running) return;
    }
    await this.#guard("Cannot remove images", images.prune(needed));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#opening;
    this.#state = "closed";
    // A start under way is brought to its end: its process is recorded or gone.
    await this.#starts.idle();
    this.#closing.abort();
    await this.#executions.close();
    for (const watcher of [...this.#watchers]) watcher.end();
    await Promise.all([...this.#instances.values()].map((instance) => instance.detach()));
    await this.#upkeep;
    await this.#queue.allIdle();
    await this.#opened?.images.close();
    this.#opened?.cgroups?.close();
    if (this.#opened !== null) await unlock(this.#opened);
  }

  async #startNew(opened: OpenedMachine, spec: InstanceSpec): Promise<RuntimeInstance> {
    this.#startingImages.set(spec.instanceId, spec.image);
    try {
      await this.#assertImage(opened, spec.image);
      const instance = await startInstance(opened, spec, {
        dir: join(opened.data.instancesDir, spec.instanceId),
        appDir: opened.images.appDir(spec.image),
      });
      this.#instances.set(spec.instanceId, instance);
      this.#tell(spec.instanceId);
      return instance.view();
    } finally {
      this.#startingImages.delete(spec.instanceId);
    }
  }

  async #assertImage(opened: OpenedMachine, image: ImageRef): Promise<void> {
    if (await opened.images.has(image)) return;
    throw notPrepared(image);
  }

  #tell(instanceId: string): void {
    for (const watcher of this.#watchers) watcher.push(instanceId);
  }

  #use(): OpenedMachine {
    if (this.#state === "closed") throw closedError();
    if (this.#state !== "open" || this.#opened === null)
      throw new TypeError("The runtime is not open; call open() first.");
    return this.#opened;
  }

  async #guard<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (this.#closing.signal.aborted && !isDinpError(error, "DINP_ABORTED")) throw closedError();
      throw asUnavailable(what, error);
    }
  }
}

function asUnavailable(what: string, error: unknown): unknown {
  if (isDinpError(error) || error instanceof TypeError) return error;
  return new DinpError("DINP_UNAVAILABLE", `${what}: ${messageOf(error)}`, { retryable: true, cause: error });
}
