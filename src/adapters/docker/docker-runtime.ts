import {
  type AppGrants,
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
import { apart, beside } from "./commands.js";
import { asDinpError } from "./engine-refusal.js";
import { followLog } from "./follow-log.js";
import { openEngine, type OpenedEngine } from "./opened-engine.js";
import type { DockerRuntimeOptions } from "./options.js";
import { startContainer, startInstance } from "./starts.js";
import { readStats } from "./stats.js";
import { orAborted, throwIfAborted } from "../runtime/aborting.js";
import { noInstance, notPrepared, notRunning } from "../runtime/errors.js";
import { Gate } from "../runtime/gate.js";
import { HeldImages } from "../runtime/held-images.js";
import { KeyedQueue } from "../runtime/keyed-queue.js";
import { Lifecycle } from "../runtime/lifecycle.js";
import { tailLines } from "../runtime/log-tail.js";
import { assertGraceMs, assertInstanceSpec, assertRunSpec, isClusterId } from "../runtime/spec-checks.js";
import { Watchers } from "../runtime/watchers.js";

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
  readonly #watchers = new Watchers();
  readonly #life = new Lifecycle<OpenedEngine>(asDinpError);
  readonly #held = new HeldImages();

  constructor(options: DockerRuntimeOptions) {
    this.#options = options;
  }

  open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#life.open("Cannot open the runtime", () => this.#open(options.signal));
  }

  async #open(signal: AbortSignal | undefined): Promise<OpenedEngine> {
    throwIfAborted(signal);
    return openEngine(this.#options, {
      signal,
      closing: this.#life.closing,
      tell: (instanceId) => {
        this.#watchers.tell(instanceId);
      },
    });
  }

  async capacity(): Promise<RuntimeCapacity> {
    const { facts } = this.#life.use();
    return Promise.resolve({
      runtime: "docker",
      memoryMb: facts.memoryMb,
      cpuMillis: facts.cpuMillis,
      programs: null,
      memoryLimit: `cgroup v${facts.cgroupVersion}`,
    });
  }

  expectImage(): void {
    this.#life.use().images.expect();
  }

  async prepareImage(image: ImageRef, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    await this.#life.guard(
      "Cannot prepare the image",
      this.#life.use().images.prepare(image, options.signal),
    );
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly RuntimeInstance[]> {
    throwIfAborted(options.signal);
    const { containers } = this.#life.use();
    const { signal } = options;
    return this.#life.guard(
      "Cannot list the instances",
      (async () => {
        const all = await containers.all(signal);
        containers.keepOnly(all);
        return containers.views(all, signal);
      })(),
    );
  }

  async start(spec: InstanceSpec, options: { readonly signal?: AbortSignal } = {}): Promise<RuntimeInstance> {
    assertInstanceSpec(spec);
    throwIfAborted(options.signal);
    this.#life.use();
    const started = this.#queue.run(spec.instanceId, () =>
      this.#starts.run(() => this.#start(spec, options.signal)),
    );
    return this.#life.guard(`Cannot start instance ${spec.instanceId}`, orAborted(started, options.signal));
  }

  async #start(spec: InstanceSpec, signal: AbortSignal | undefined): Promise<RuntimeInstance> {
    const release = this.#held.hold(spec.image);
    try {
      return await this.#startHeld(spec, signal);
    } finally {
      release();
    }
  }

  async #startHeld(spec: InstanceSpec, signal: AbortSignal | undefined): Promise<RuntimeInstance> {
    const opened = this.#life.use();
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
    assertGraceMs(graceMs);
    throwIfAborted(signal);
    this.#life.use();
    const stopped = (async () => {
      // A start that is under way is waited for; then there is something to stop.
      await this.#queue.idle(instanceId);
      const { containers, stops } = this.#life.use();
      const present = await containers.findOwn(instanceId);
      if (present?.state === "running" || present?.state === "paused") await stops.stop(present, graceMs);
    })();
    await this.#life.guard(`Cannot stop instance ${instanceId}`, orAborted(stopped, signal));
  }

  async remove(instanceId: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    throwIfAborted(options.signal);
    this.#life.use();
    const removed = this.#queue.run(instanceId, async () => {
      const { containers, remover, followers } = this.#life.use();
      const present = await containers.findOwn(instanceId);
      if (present === null) return;
      containers.noteStop(present.id);
      await remover.remove(present.id);
      followers.tellRemoved(present.id);
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
    const opened = this.#life.use();
    const { follow = false, signal } = options;
    const tail = tailLines(options.tail);
    const what = `Cannot read the log of instance ${instanceId}`;
    const container = await this.#life.guard(what, opened.containers.findOwn(instanceId));
    if (container === null) throw noInstance(instanceId);
    try {
      for await (const text of followLog(opened, container, { tail, follow, signal }, this.#life.closing))
        yield { instanceId, text };
    } catch (error) {
      throw this.#life.explained(what, error);
    }
  }

  async stats(instanceId: string): Promise<InstanceStats | null> {
    const { engine, containers } = this.#life.use();
    return this.#life.guard(
      `Cannot read what instance ${instanceId} uses`,
      (async () => {
        const container = await containers.findOwn(instanceId);
        return container?.state === "running" ? readStats(engine, container) : null;
      })(),
    );
  }

  async *exec(instanceId: string, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const opened = this.#life.use();
    const { containers, executions } = opened;
    try {
      yield* executions.execute(options, async (preparation) => {
        const container = await containers.findOwn(instanceId);
        if (container === null) throw noInstance(instanceId);
        if (container.state !== "running") throw notRunning(instanceId);
        return beside(opened, container, options, preparation);
      });
    } catch (error) {
      throw this.#life.explained("Cannot run the command", error);
    }
  }

  async *run(spec: RunSpec, options: ExecOptions): AsyncGenerator<ExecEvent, void, undefined> {
    const { engine, executions, images, defaults } = this.#life.use();
    // Before it is asked for: a prune in between would take the image away.
    const release = this.#held.hold(spec.image);
    try {
      yield* executions.execute(options, async ({ token, endWith }) => {
        assertRunSpec(spec);
        const image = await images.find(spec.image);
        if (image === null) throw notPrepared(spec.image);
        const grants = grantsOf(spec, this.#options);
        const plan = { spec, image, grants, token, startedAt: 0, problem: null };
        return apart(engine, defaults, plan, options, endWith);
      });
    } catch (error) {
      throw this.#life.explained("Cannot run the command", error);
    } finally {
      release();
    }
  }

  async pruneImages(keep: readonly ImageRef[]): Promise<void> {
    const { images, containers } = this.#life.use();
    await this.#life.guard(
      "Cannot remove images",
      (async () => {
        const used = await containers.images();
        await images.prune([...keep, ...this.#held.all(), ...used]);
      })(),
    );
  }

  close(): Promise<void> {
    // A start under way is brought to its end: its container runs, or is gone.
    return this.#life.close(
      () => this.#starts.idle(),
      (opened) => this.#release(opened),
    );
  }

  async #release(opened: OpenedEngine | null): Promise<void> {
    this.#watchers.end();
    await opened?.close();
    await this.#queue.allIdle();
  }
}

/** What the instance or one-off may do beyond the default. */
function grantsOf(spec: InstanceSpec | RunSpec, { hardening }: DockerRuntimeOptions): AppGrants {
  return hardening === undefined ? (spec.grants ?? {}) : hardening(spec);
}
