import { DinpError } from "../../model/errors.js";
import type { ImageRef, InstanceExit, InstanceId, NodeId } from "../../model/records.js";
import type { InstanceSpec, RuntimeInstance } from "../../ports/runtime.js";
import type { LocalState } from "../../ports/system.js";
import type { History } from "./history.js";
import { EPOCH_MS, type SimProcess, type World } from "./sim-process.js";

/** How an instance behaves, from its variable `BEHAVIOR`: `ok`, `mute`, `crash:MS` or `slow:MS`. */
interface Behavior {
  /** From its start to its first answer; null: it never answers. */
  readonly answersAfterMs: number | null;
  /** From its start to its end; null: it does not end. */
  readonly endsAfterMs: number | null;
}

/** Longer than a silence that makes a node lost. */
const LONG_GONE_MS = 45_000;

interface SimInstance {
  readonly spec: InstanceSpec;
  readonly startedAt: number;
  readonly behavior: Behavior;
  exit: InstanceExit | null;
}

/** A machine with what it runs, which outlives its agent. */
export class SimNode {
  readonly id: NodeId;
  readonly address: string;
  readonly #world: World;
  readonly #history: History;
  readonly #instances = new Map<InstanceId, SimInstance>();
  readonly #listeners = new Set<(instanceId: InstanceId) => void>();
  readonly #disk = new Map<string, string>();
  /** Digests of the images that instances can be started from. */
  readonly #images = new Set<string>();
  #atNextStart: (() => void) | null = null;

  constructor(world: World, history: History, id: NodeId, address: string) {
    this.#world = world;
    this.#history = history;
    this.id = id;
    this.address = address;
  }

  get running(): readonly InstanceId[] {
    return [...this.#instances].filter(([, { exit }]) => exit === null).map(([id]) => id);
  }

  /** How many instances the runtime remembers that have ended. */
  get leftovers(): number {
    return this.#instances.size - this.running.length;
  }

  isRunning(instanceId: InstanceId): boolean {
    return this.#instances.get(instanceId)?.exit === null;
  }

  /** It runs here, and nobody can have had an answer from it yet. */
  isSilentYet(instanceId: InstanceId): boolean {
    const instance = this.#instances.get(instanceId);
    if (instance?.exit !== null) return false;
    const { startedAt, behavior } = instance;
    return this.#world.scheduler.now < startedAt + (behavior.answersAfterMs ?? Number.POSITIVE_INFINITY);
  }

  /** It ended here so long ago that no leader may count on it, whether or not it was told. */
  isLongGone(instanceId: InstanceId): boolean {
    const exit = this.#instances.get(instanceId)?.exit;
    return exit != null && EPOCH_MS + this.#world.scheduler.now - exit.at > LONG_GONE_MS;
  }

  /** What listens on a port now. */
  listenerAt(port: number): InstanceSpec | null {
    for (const { spec, exit } of this.#instances.values())
      if (spec.port === port && exit === null) return spec;
    return null;
  }

  isFree(port: number): boolean {
    return this.listenerAt(port) === null;
  }

  /** True when what listens there would answer now. */
  answersAt(port: number): boolean {
    for (const { spec, exit, startedAt, behavior } of this.#instances.values()) {
      if (spec.port !== port || exit !== null || behavior.answersAfterMs === null) continue;
      return this.#world.scheduler.now >= startedAt + behavior.answersAfterMs;
    }
    return false;
  }

  /** Calls back when an instance ends, until the returned function is called. */
  onEnd(listener: (instanceId: InstanceId) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Calls back when it starts an instance, once; only the last one who asked. */
  atNextStart(then: () => void): void {
    this.#atNextStart = then;
  }

  /** One instance ends by itself. */
  crash(instanceId: InstanceId): void {
    this.#end(instanceId, "exited", "it crashed");
  }

  /** All that ran is gone; `runtime`: the runtime does not even remember it; `all`: nor does the disk remember anything. */
  reboot(forgets: "nothing" | "runtime" | "all"): void {
    for (const id of this.running) this.#end(id, "unknown", "the node was started anew");
    if (forgets === "nothing") return;
    if (forgets === "all") {
      this.#disk.clear();
      this.#images.clear();
    }
    for (const id of this.#instances.keys()) this.#history.noteForgotten(id);
    this.#instances.clear();
  }

  /** What the agent's process keeps on this node's disk. */
  diskOf(process: SimProcess): LocalState {
    return {
      read: (key) => process.call("disk", "read", () => Promise.resolve(this.#disk.get(key) ?? null)),
      write: (key, value) =>
        process.call(
          "disk",
          "write",
          () => {
            this.#disk.set(key, value);
            return Promise.resolve();
          },
          { isWrite: true },
        ),
    };
  }

  /** Fetches the image. */
  async prepare({ digest }: ImageRef): Promise<void> {
    if (this.#images.has(digest)) return;
    await this.#world.scheduler.sleep(this.#random(800));
    this.#images.add(digest);
  }

  /** Forgets the images that none of these and no instance is of. */
  prune(keep: readonly ImageRef[]): Promise<void> {
    const needed = new Set(keep.map(({ digest }) => digest));
    for (const { spec } of this.#instances.values()) needed.add(spec.image.digest);
    for (const digest of this.#images) if (!needed.has(digest)) this.#images.delete(digest);
    return Promise.resolve();
  }

  /** All that was started and not removed. */
  list(): readonly RuntimeInstance[] {
    return [...this.#instances.values()].map((instance) => this.#view(instance));
  }

  /** Starts it unless its id was used; throws where its image is not there. */
  start(spec: InstanceSpec): RuntimeInstance {
    const known = this.#instances.get(spec.instanceId);
    if (known !== undefined) return this.#view(known);
    if (!this.#images.has(spec.image.digest)) {
      throw new DinpError("DINP_IMAGE_NOT_FOUND", `The image ${spec.image.digest} is not on ${this.id}.`);
    }
    const isTaken = !this.isFree(spec.port);
    const behavior = behaviorOf(spec.env["BEHAVIOR"] ?? "ok");
    const instance: SimInstance = { spec, startedAt: this.#world.scheduler.now, behavior, exit: null };
    this.#instances.set(spec.instanceId, instance);
    this.#history.noteStart(spec, this.id, this.address);
    this.#atNextStart?.();
    this.#atNextStart = null;
    if (isTaken) this.#end(spec.instanceId, "exited", `port ${String(spec.port)} is taken`);
    else if (behavior.endsAfterMs !== null) {
      this.#world.scheduler.after(behavior.endsAfterMs, () => {
        if (this.#instances.get(spec.instanceId) === instance) this.crash(spec.instanceId);
      });
    }
    return this.#view(instance);
  }

  /** Ends it within its grace. */
  async stop(instanceId: InstanceId, graceMs: number): Promise<void> {
    if (this.#instances.get(instanceId)?.exit !== null) return;
    this.#history.noteStop(instanceId, this.id);
    await this.#world.scheduler.sleep(Math.min(graceMs, this.#random(graceMs / 3)));
    this.#end(instanceId, "stopped", "stopped as it was asked to");
  }

  /** Ends it at once, and forgets it. */
  remove(instanceId: InstanceId): Promise<void> {
    if (this.#instances.get(instanceId)?.exit === null) this.#history.noteStop(instanceId, this.id);
    this.#instances.delete(instanceId);
    return Promise.resolve();
  }

  #view({ spec, startedAt, exit }: SimInstance): RuntimeInstance {
    const { instanceId, appId, releaseId, port } = spec;
    const state = exit === null ? "running" : "exited";
    const at = EPOCH_MS + startedAt;
    return { instanceId, appId, releaseId, port, host: this.address, state, startedAt: at, exit };
  }

  #end(instanceId: InstanceId, cause: InstanceExit["cause"], message: string): void {
    const instance = this.#instances.get(instanceId);
    if (instance?.exit !== null) return;
    const at = EPOCH_MS + this.#world.scheduler.now;
    instance.exit = { at, cause, code: cause === "exited" ? 1 : null, signal: null, message, logTail: [] };
    this.#world.journal.note(`${this.id} instance ${instanceId} ends: ${message}`);
    for (const tell of [...this.#listeners]) tell(instanceId);
  }

  #random(mean: number): number {
    return this.#world.faults.random.exponential(mean);
  }
}

function behaviorOf(text: string): Behavior {
  const [kind = "ok", ms = "0"] = text.split(":");
  switch (kind) {
    case "mute":
      return { answersAfterMs: null, endsAfterMs: null };
    case "crash":
      return { answersAfterMs: 200, endsAfterMs: Number(ms) };
    case "slow":
      return { answersAfterMs: Number(ms), endsAfterMs: null };
    default:
      return { answersAfterMs: 300, endsAfterMs: null };
  }
}
