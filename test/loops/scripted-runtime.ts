import {
  type Clock,
  DinpError,
  type ExecEvent,
  type ExecOptions,
  type ExitCause,
  type ImageRef,
  type InstanceId,
  type InstanceSpec,
  type InstanceStats,
  type LocalState,
  type LogLine,
  type Prober,
  type ProbeResult,
  type ProbeTarget,
  type Runtime,
  type RuntimeCapacity,
  type RuntimeInstance,
  type RunSpec,
} from "@dinp/core";

/** A node's instances that outlive its agent; what goes wrong is set from outside. */
export class ScriptedRuntime implements Runtime {
  readonly instances = new Map<InstanceId, RuntimeInstance>();
  /** Every instance that was really started, in order; an id twice is a fault of the platform. */
  readonly started: InstanceId[] = [];
  /** Of those, by id, what they were started with. */
  readonly specs = new Map<InstanceId, InstanceSpec>();
  readonly stopped: InstanceId[] = [];
  readonly removed: InstanceId[] = [];
  /** Ports asked for, also by starts that failed. */
  readonly portsAsked: number[] = [];
  /** Every one-off that was asked for, in order. */
  readonly ran: RunSpec[] = [];
  /** What an instance says as it ends. */
  lastWords: readonly string[] = [];
  listFails = false;
  startFails = false;
  /** A start that fails has started the instance nevertheless. */
  startFailsAfterwards = false;
  /** While set, images are not there yet. */
  imageGate: Promise<void> | null = null;
  imageFetches = 0;
  /** The digests that each pruning was to keep. */
  readonly pruned: (readonly string[])[] = [];
  pruneFails = false;
  /** One-offs that find their image gone. */
  imagesGone = 0;
  listCalls = 0;
  /** Watches end at once, without an error. */
  watchEnds = false;
  readonly #clock: Pick<Clock, "now">;
  readonly #watchers = new Set<(id: InstanceId) => void>();

  constructor(clock: Pick<Clock, "now"> = Date) {
    this.#clock = clock;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  capacity(): Promise<RuntimeCapacity> {
    return Promise.resolve({
      runtime: "scripted",
      memoryMb: 16_384,
      cpuMillis: 64_000,
      programs: null,
      memoryLimit: "none",
    });
  }

  async prepareImage(_image: unknown, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.imageFetches += 1;
    if (this.imageGate === null) return;
    await Promise.race([this.imageGate, aborted(options.signal)]);
    options.signal?.throwIfAborted();
  }

  list(): Promise<readonly RuntimeInstance[]> {
    this.listCalls += 1;
    if (this.listFails) return Promise.reject(cannotTell());
    return Promise.resolve([...this.instances.values()]);
  }

  start(spec: InstanceSpec): Promise<RuntimeInstance> {
    this.portsAsked.push(spec.port);
    if (this.startFails && !this.startFailsAfterwards) return Promise.reject(cannotTell());
    const known = this.instances.get(spec.instanceId);
    if (known !== undefined) return Promise.resolve(known);
    this.started.push(spec.instanceId);
    this.specs.set(spec.instanceId, spec);
    const { instanceId, appId, releaseId, port } = spec;
    const instance = {
      ...{ instanceId, appId, releaseId, port, host: "127.0.0.1", startedAt: this.#clock.now(), exit: null },
      state: "running" as const,
    };
    this.instances.set(instanceId, instance);
    return this.startFails ? Promise.reject(cannotTell()) : Promise.resolve(instance);
  }

  stop(instanceId: InstanceId): Promise<void> {
    if (this.instances.get(instanceId)?.state === "running") this.stopped.push(instanceId);
    this.end(instanceId, "stopped");
    return Promise.resolve();
  }

  remove(instanceId: InstanceId): Promise<void> {
    this.removed.push(instanceId);
    this.instances.delete(instanceId);
    return Promise.resolve();
  }

  /** The instance ends, by itself or asked to. */
  end(instanceId: InstanceId, cause: ExitCause): void {
    const instance = this.instances.get(instanceId);
    if (instance?.state !== "running") return;
    const exit = {
      at: this.#clock.now(),
      cause,
      code: 1,
      signal: null,
      message: `ended: ${cause}`,
      logTail: this.lastWords,
    };
    this.instances.set(instanceId, { ...instance, state: "exited", exit });
    for (const tell of this.#watchers) tell(instanceId);
  }

  get running(): InstanceId[] {
    return [...this.instances.values()]
      .filter((each) => each.state === "running")
      .map((each) => each.instanceId);
  }

  async *watch(options: { readonly signal: AbortSignal }): AsyncGenerator<InstanceId, void> {
    if (this.watchEnds) return;
    const news: InstanceId[] = [];
    let wake: () => void = () => undefined;
    const tell = (id: InstanceId): void => {
      news.push(id);
      wake();
    };
    this.#watchers.add(tell);
    try {
      while (!options.signal.aborted) {
        const next = news.shift();
        if (next !== undefined) yield next;
        else await Promise.race([new Promise<void>((resolve) => (wake = resolve)), aborted(options.signal)]);
      }
    } finally {
      this.#watchers.delete(tell);
    }
  }

  async *logs(): AsyncGenerator<LogLine, void> {
    await Promise.resolve();
    yield* [];
  }

  async *exec(instanceId: InstanceId, options: ExecOptions): AsyncGenerator<ExecEvent, void> {
    await Promise.resolve();
    if (!this.running.includes(instanceId))
      throw new DinpError("DINP_NOT_FOUND", `No instance ${instanceId}.`);
    yield* echo(options);
  }

  async *run(spec: RunSpec, options: ExecOptions): AsyncGenerator<ExecEvent, void> {
    await Promise.resolve();
    this.ran.push(spec);
    if (this.imagesGone > 0) {
      this.imagesGone -= 1;
      throw new DinpError("DINP_IMAGE_NOT_FOUND", "The image is gone.");
    }
    yield* echo(options);
  }

  stats(): Promise<InstanceStats | null> {
    return Promise.resolve(null);
  }

  pruneImages(keep: readonly ImageRef[]): Promise<void> {
    this.pruned.push(keep.map(({ digest }) => digest));
    return this.pruneFails ? Promise.reject(cannotTell()) : Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Answers by what `answer` says for the port. */
export class ScriptedProber implements Prober {
  answer: (port: number) => ProbeResult["outcome"] = () => "success";
  /** Of failures. */
  reason: () => string = () => "refused";

  probe(target: ProbeTarget): Promise<ProbeResult> {
    switch (this.answer(target.port)) {
      case "success":
        return Promise.resolve({ outcome: "success", latencyMs: 1, status: 200 });
      case "failure":
        return Promise.resolve({ outcome: "failure", latencyMs: 1, reason: this.reason(), firstBytes: "" });
      case "unknown":
        return Promise.resolve({ outcome: "unknown", reason: "no file descriptors" });
    }
  }
}

export class MemoryLocalState implements LocalState {
  readonly values = new Map<string, string>();
  readFails = false;

  read(key: string): Promise<string | null> {
    if (this.readFails) return Promise.reject(new Error("The test's disk cannot be read."));
    return Promise.resolve(this.values.get(key) ?? null);
  }

  write(key: string, value: string): Promise<void> {
    this.values.set(key, value);
    return Promise.resolve();
  }
}

/** Writes its command, then ends with code 0; `wait` ends when it is told to. */
async function* echo({ command, signal }: ExecOptions): AsyncGenerator<ExecEvent, void> {
  yield { type: "output", stream: "stdout", bytes: new TextEncoder().encode(command.join(" ")) };
  if (command[0] === "wait") {
    await aborted(signal);
    throw new DinpError("DINP_ABORTED", "The command was ended.");
  }
  yield { type: "exit", code: 0, signal: null, message: null };
}

function cannotTell(): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The test's runtime does not answer.", { retryable: true });
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else
      signal?.addEventListener("abort", () => {
        resolve();
      });
  });
}
