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
import { endStrayExecutions, Executions } from "./executions.js";
import type { Instance } from "./instance.js";
import { openMachine, unlock, type OpenedMachine } from "./opened-machine.js";
import type { ProcessRuntime, ProcessRuntimeOptions } from "./options.js";
import { removeInstanceFolder } from "./instance-folders.js";
import { restoreInstances } from "./restore.js";
import { startInstance } from "./start.js";
import { keepUp, SAMPLE_MS } from "./upkeep.js";
import { orAborted, throwIfAborted } from "../runtime/aborting.js";
import { noInstance, notPrepared, notRunning } from "../runtime/errors.js";
import { Gate } from "../runtime/gate.js";
import { HeldImages } from "../runtime/held-images.js";
import { KeyedQueue } from "../runtime/keyed-queue.js";
import { Lifecycle } from "../runtime/lifecycle.js";
import { tailLines } from "../runtime/log-tail.js";
import { assertGraceMs, assertInstanceSpec, isClusterId } from "../runtime/spec-checks.js";
import { Watchers } from "../runtime/watchers.js";

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
  if (!isClusterId(options.clusterId))
    throw new TypeError(`${JSON.stringify(options.clusterId)} cannot be a cluster id of a process runtime.`);
  return new PlainProcessRuntime(options);
}

class PlainProcessRuntime implements ProcessRuntime {
  readonly #options: ProcessRuntimeOptions;
  readonly #instances = new Map<string, Instance>();
  readonly #held = new HeldImages();
  readonly #queue = new KeyedQueue();
  readonly #starts = new Gate(STARTS_MAX);
  readonly #watchers = new Watchers();
  readonly #life = new Lifecycle<OpenedMachine>(asUnavailable);
  readonly #executions = new Executions(this.#life.closing);
  #upkeep: Promise<void> = Promise.resolve();

  constructor(options: ProcessRuntimeOptions) {
    this.#options = options;
  }

  open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const what = `Cannot open the runtime in ${this.#options.dataDir}`;
    return this.#life.open(what, () => this.#open(options.signal));
  }

  async #open(signal: AbortSignal | undefined): Promise<OpenedMachine> {
    throwIfAborted(signal);
    if (process.platform !== "linux")
      throw new DinpError(
        "DINP_UNAVAILABLE",
        `The process runtime needs Linux; this is ${process.platform}.`,
      );
    const opened = await openMachine(this.#options, {
      closing: this.#life.closing,
      onChange: (instanceId) => {
        this.#watchers.tell(instanceId);
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
    this.#upkeep = keepUp({
      instances: this.#instances,
      table: opened.instance.table,
      clock: this.#options.clock,
      logger: this.#options.logger,
      signal: this.#life.closing,
    });
    return opened;
  }

  async capacity(): Promise<RuntimeCapacity> {
    const { programs, uidOf, cgroups } = this.#life.use();
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
    await this.#life.guard(
      "Cannot prepare the image",
      this.#life.use().images.prepare(image, options.signal),
    );
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly RuntimeInstance[]> {
    throwIfAborted(options.signal);
    const { data } = this.#life.use();
    // What is known is only worth telling while the records behind it are there.
    await this.#life.guard("Cannot list the instances", readdir(data.instancesDir));
    return [...this.#instances.values()]
      .map((instance) => instance.view())
      .sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  }

  async start(spec: InstanceSpec, options: { readonly signal?: AbortSignal } = {}): Promise<RuntimeInstance> {
    assertInstanceSpec(spec);
    throwIfAborted(options.signal);
    this.#life.use();
    const started = this.#queue.run(spec.instanceId, async () => {
      const opened = this.#life.use();
      const present = this.#instances.get(spec.instanceId);
      if (present !== undefined) return present.view();
      throwIfAborted(options.signal);
      return this.#starts.run(() => this.#startNew(opened, spec));
    });
    return this.#life.guard(`Cannot start instance ${spec.instanceId}`, orAborted(started, options.signal));
  }

  async stop(
    instanceId: string,
    options: { readonly graceMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    const { graceMs, signal } = options;
    assertGraceMs(graceMs);
    throwIfAborted(signal);
    this.#life.use();
    const stopped = (async () => {
      const present = this.#instances.get(instanceId);
      // A start that is under way is waited for; then there is something to stop.
      if (present === undefined) await this.#queue.idle(instanceId);
      await this.#instances.get(instanceId)?.stop(graceMs);
    })();
    await this.#life.guard(`Cannot stop instance ${instanceId}`, orAborted(stopped, signal));
  }

  async stopAll(options: { readonly graceMs: number; readonly signal?: AbortSignal }): Promise<void> {
    this.#life.use();
    await orAborted(this.#queue.allIdle(), options.signal);
    await Promise.all([...this.#instances.keys()].map((instanceId) => this.stop(instanceId, options)));
  }

  async remove(instanceId: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    this.#life.use();
    const removed = this.#queue.run(instanceId, async () => {
      const { data } = this.#life.use();
      const instance = this.#instances.get(instanceId);
      if (instance === undefined) return;
      await instance.stop(0);
      await instance.sweep();
      await instance.endFollowers();
      await removeInstanceFolder(data.instancesDir, instanceId);
      this.#instances.delete(instanceId);
      this.#watchers.tell(instanceId);
    });
    await this.#life.guard(`Cannot remove instance ${instanceId}`, orAborted(removed, options.signal));
  }

  watch(options: { readonly signal: AbortSignal }): AsyncIterable<string> {
    this.#life.use();
    return this.#watchers.watch(options.signal);
  }

  async *logs(
    instanceId: string,
    options: { readonly tail?: number; readonly follow?: boolean; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogLine, void, undefined> {
    this.#life.use();
    const { follow = false, signal } = options;
    const tail = tailLines(options.tail);
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) throw noInstance(instanceId);
    const lines = instance.follow({
      tail,
      follow,
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const text of lines) yield { instanceId, text };
  }

  async stats(instanceId: string): Promise<InstanceStats | null> {
    this.#life.use();
    return (await this.#instances.get(instanceId)?.stats()) ?? null;
  }

  async *exec(instanceId: string, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const opened = this.#life.use();
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) throw noInstance(instanceId);
    const { image } = instance.facts;
    if (!instance.running || image === null) throw notRunning(instanceId);
    yield* this.#executions.exec(opened, instance, opened.images.appDir(image), options);
  }

  async *run(spec: RunSpec, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const opened = this.#life.use();
    const { runsDir } = opened.data;
    // Before it is asked for: a prune in between would take the image away.
    const release = this.#held.hold(spec.image);
    try {
      await this.#assertImage(opened, spec.image);
      const places = { runsDir, appDir: opened.images.appDir(spec.image), release };
      yield* this.#executions.run(opened, spec, places, options);
    } finally {
      release();
    }
  }

  async pruneImages(keep: readonly ImageRef[]): Promise<void> {
    const { images } = this.#life.use();
    const needed: ImageRef[] = [...keep, ...this.#held.all()];
    for (const { facts, running } of this.#instances.values()) {
      if (facts.image !== null) needed.push(facts.image);
      // An instance whose records are damaged runs from an image that nobody can name.
      else if (running) return;
    }
    await this.#life.guard("Cannot remove images", images.prune(needed));
  }

  close(): Promise<void> {
    // A start under way is brought to its end: its process is recorded or gone.
    return this.#life.close(
      () => this.#starts.idle(),
      (opened) => this.#release(opened),
    );
  }

  async #release(opened: OpenedMachine | null): Promise<void> {
    await this.#executions.close();
    this.#watchers.end();
    await Promise.all([...this.#instances.values()].map((instance) => instance.detach()));
    await this.#upkeep;
    await this.#queue.allIdle();
    await opened?.images.close();
    opened?.cgroups?.close();
    if (opened !== null) await unlock(opened);
  }

  async #startNew(opened: OpenedMachine, spec: InstanceSpec): Promise<RuntimeInstance> {
    const release = this.#held.hold(spec.image);
    try {
      await this.#assertImage(opened, spec.image);
      const instance = await startInstance(opened, spec, {
        dir: join(opened.data.instancesDir, spec.instanceId),
        appDir: opened.images.appDir(spec.image),
      });
      this.#instances.set(spec.instanceId, instance);
      this.#watchers.tell(spec.instanceId);
      return instance.view();
    } finally {
      release();
    }
  }

  async #assertImage(opened: OpenedMachine, image: ImageRef): Promise<void> {
    if (await opened.images.has(image)) return;
    throw notPrepared(image);
  }
}

function asUnavailable(what: string, error: unknown): unknown {
  if (isDinpError(error) || error instanceof TypeError) return error;
  return new DinpError("DINP_UNAVAILABLE", `${what}: ${messageOf(error)}`, { retryable: true, cause: error });
}
