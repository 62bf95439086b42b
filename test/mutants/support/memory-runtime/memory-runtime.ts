import { createHash } from "node:crypto";
import {
  DinpError,
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
import { Execution, type Command } from "./execution.js";
import type { MemoryMachine } from "./machine.js";
import { MB, MemoryInstance } from "./memory-instance.js";
import type { MemoryProcess, Program } from "./memory-process.js";
import { nodeProgram } from "./node-program.js";

/** What outlives the runtimes of one cluster on a machine, as a disk would; it can be out of reach. */
export interface Disk {
  readonly clusterId: string;
  readonly instances: Map<string, MemoryInstance>;
  /** Digests of images that are prepared. */
  readonly images: Set<string>;
  isOut: boolean;
}

export interface MemoryRuntimeOptions {
  readonly machine: MemoryMachine;
  readonly disk: Disk;
  /** Digest → the image's files as JSON. */
  readonly source: ReadonlyMap<string, string>;
}

interface Signalled {
  readonly signal?: AbortSignal;
}

/**
 * A good runtime whose processes are simulated in this one (see {@link nodeProgram}): it keeps the whole contract at a
 * small part of the cost of real processes, so that many broken ones can be made out of it.
 */
export class MemoryRuntime implements Runtime {
  readonly #options: MemoryRuntimeOptions;
  readonly #closing = new AbortController();
  readonly #watchers = new Set<(instanceId: string) => void>();
  readonly #executions = new Set<Execution>();
  #isOpen = false;
  #commands = 0;

  constructor(options: MemoryRuntimeOptions) {
    this.#options = options;
  }

  async open(options?: Signalled): Promise<void> {
    if (this.#closing.signal.aborted) throw closedError();
    if (this.#isOpen) throw new TypeError("A runtime is opened once.");
    throwIfAborted(options);
    this.#isOpen = true;
    for (const instance of this.#options.disk.instances.values()) this.#lookAfter(instance);
    await Promise.resolve();
  }

  async capacity(): Promise<RuntimeCapacity> {
    this.#disk();
    await Promise.resolve();
    return {
      runtime: "memory",
      memoryMb: 16_384,
      cpuMillis: 8_000,
      programs: ["node"],
      memoryLimit: "on paper",
    };
  }

  async prepareImage({ digest }: ImageRef, options?: Signalled): Promise<void> {
    const { images } = this.#disk(options);
    const text = this.#options.source.get(digest);
    await Promise.resolve();
    if (text === undefined) throw new DinpError("DINP_IMAGE_NOT_FOUND", `There is no image ${digest}.`);
    if (`sha256:${createHash("sha256").update(text).digest("hex")}` !== digest)
      throw new DinpError("DINP_DIGEST_MISMATCH", `What came is not ${digest}.`);
    for (const [path, content] of Object.entries(JSON.parse(text) as Record<string, string>))
      this.#options.machine.files.set(`/images/${digest}/${path}`, content);
    images.add(digest);
  }

  async list(options?: Signalled): Promise<readonly RuntimeInstance[]> {
    const { instances } = this.#disk(options);
    await Promise.resolve();
    const views = [...instances.values()].map(({ view }) => view);
    return views.sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  }

  async start(spec: InstanceSpec, options?: Signalled): Promise<RuntimeInstance> {
    const { instances, clusterId } = this.#disk(options);
    const { instanceId } = spec;
    const present = instances.get(instanceId);
    if (present !== undefined) return present.view;
    const cwd = this.#imageFolder(spec.image);
    const instance = new MemoryInstance(this.#options.machine, `instance ${clusterId}/${instanceId}`, spec);
    instances.set(instanceId, instance);
    this.#lookAfter(instance);
    const program = this.#program(spec.command);
    if (program === null) instance.fail(`There is no program ${spec.command[0] ?? ""}.`);
    else {
      const env = this.#environment(spec, { PORT: String(spec.port) }, this.#makeFolder(instanceId));
      const { group, log } = instance;
      instance.run(
        this.#options.machine.spawn(program, {
          ...{ group, env, cwd, argv: spec.command, memoryBytes: spec.memoryMb * MB },
          isFirst: true,
          isTerminal: false,
          stdin: new Uint8Array(0),
          write: log.write,
        }),
      );
    }
    this.#tell(instanceId);
    await Promise.resolve();
    return instance.view;
  }

  async stop(
    instanceId: string,
    { graceMs, signal }: Signalled & { readonly graceMs: number },
  ): Promise<void> {
    const { instances } = this.#disk({ ...(signal === undefined ? {} : { signal }) });
    const stopped = instances.get(instanceId)?.stop(graceMs, this.#closing.signal);
    await this.#unlessOver(stopped, signal);
  }

  async remove(instanceId: string, options?: Signalled): Promise<void> {
    const { instances } = this.#disk(options);
    const instance = instances.get(instanceId);
    if (instance === undefined) return;
    await this.#unlessOver(instance.stop(0, this.#closing.signal), options?.signal);
    instances.delete(instanceId);
    instance.removed.abort();
    this.#options.machine.removeFolder(this.#folder(instanceId));
    this.#tell(instanceId);
  }

  watch({ signal }: { readonly signal: AbortSignal }): AsyncIterable<string> {
    this.#disk();
    const news: string[] = [];
    let wake = (): void => undefined;
    const tell = (instanceId: string): void => {
      news.push(instanceId);
      wake();
    };
    const ending = AbortSignal.any([signal, this.#closing.signal]);
    const watchers = this.#watchers;
    watchers.add(tell);
    return (async function* () {
      ending.addEventListener("abort", () => {
        wake();
      });
      while (!ending.aborted) {
        const next = news.shift();
        if (next !== undefined) yield next;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
      watchers.delete(tell);
    })();
  }

  async *logs(
    instanceId: string,
    {
      tail = 100,
      follow = false,
      signal,
    }: Signalled & { readonly tail?: number; readonly follow?: boolean } = {},
  ): AsyncGenerator<LogLine, void> {
    const { log, removed } = this.#instance(instanceId);
    const ends = [removed.signal, this.#closing.signal, ...(signal === undefined ? [] : [signal])];
    for await (const text of log.lines(tail, follow, AbortSignal.any(ends))) yield { instanceId, text };
  }

  async stats(instanceId: string): Promise<InstanceStats | null> {
    const instance = this.#disk().instances.get(instanceId);
    await Promise.resolve();
    if (instance?.running !== true) return null;
    const processes = this.#options.machine.processesOf((group) => group === instance.group);
    return { instanceId, memoryBytes: 30 * MB * processes.length, cpuMs: 50, processes: processes.length };
  }

  async *exec(instanceId: string, options: ExecOptions): AsyncGenerator<ExecEvent, void> {
    const instance = this.#instance(instanceId);
    if (instance.ending) throw new DinpError("DINP_INVALID", `The instance ${instanceId} has ended.`);
    const { spec } = instance;
    const ended = new AbortController();
    void instance.first?.ended.then(() => {
      ended.abort();
    });
    yield* this.#execute(options, `exec ${instanceId}`, {
      env: this.#environment(spec, { PORT: String(spec.port) }, this.#folder(instanceId)),
      cwd: this.#imageFolder(spec.image),
      memoryBytes: spec.memoryMb * MB,
      instanceEnds: ended.signal,
      explain: () => (instance.ending ? "Its instance ended." : null),
      cleanUp: () => undefined,
    });
  }

  async *run(spec: RunSpec, options: ExecOptions): AsyncGenerator<ExecEvent, void> {
    this.#disk();
    const cwd = this.#imageFolder(spec.image);
    this.#commands += 1;
    const folder = this.#makeFolder(`.run-${String(this.#commands)}`);
    const memoryBytes = spec.memoryMb * MB;
    const tooMuch = `It used more than its ${String(spec.memoryMb)} MB of memory.`;
    yield* this.#execute(options, "run", {
      env: this.#environment(spec, {}, folder),
      cwd,
      memoryBytes,
      instanceEnds: null,
      explain: ({ keptBytes }: MemoryProcess) => (keptBytes > memoryBytes ? tooMuch : null),
      cleanUp: () => {
        this.#options.machine.removeFolder(folder);
      },
    });
  }

  async pruneImages(keep: readonly ImageRef[]): Promise<void> {
    const { images, instances } = this.#disk();
    const needed = new Set(
      [...keep, ...[...instances.values()].map(({ spec }) => spec.image)].map((image) => image.digest),
    );
    for (const digest of images) {
      if (needed.has(digest)) continue;
      images.delete(digest);
      this.#options.machine.removeFolder(`/images/${digest}`);
    }
    await Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#executions].map(({ over }) => over));
  }

  async *#execute(
    options: ExecOptions,
    group: string,
    command: Omit<Command, "group" | "program">,
  ): AsyncGenerator<ExecEvent, void> {
    throwIfAborted(options);
    if ((options.command[0] ?? "") === "" || options.command.some((word) => word.includes("\0")))
      throw new DinpError("DINP_INVALID", "The command cannot be used.");
    const program = this.#program(options.command);
    if (program === null)
      throw new DinpError("DINP_PROGRAM_MISSING", `There is no program ${options.command[0] ?? ""}.`);
    this.#commands += 1;
    const own = { ...command, program, group: `${group} ${String(this.#commands)}` };
    const execution = new Execution(this.#options.machine, own, options);
    this.#executions.add(execution);
    try {
      yield* execution.events(options.signal, this.#closing.signal);
    } finally {
      this.#executions.delete(execution);
    }
  }

  #disk(options?: Signalled): Disk {
    throwIfAborted(options);
    if (this.#closing.signal.aborted) throw closedError();
    if (!this.#isOpen) throw new TypeError("Call open() before anything else.");
    if (this.#options.disk.isOut)
      throw new DinpError("DINP_UNAVAILABLE", "The machine does not answer.", { retryable: true });
    return this.#options.disk;
  }

  #instance(instanceId: string): MemoryInstance {
    const instance = this.#disk().instances.get(instanceId);
    if (instance === undefined) throw new DinpError("DINP_NOT_FOUND", `There is no instance ${instanceId}.`);
    return instance;
  }

  #program([name = ""]: readonly string[]): Program | null {
    return name === "node" ? nodeProgram(this.#options.machine) : null;
  }

  #imageFolder({ digest }: ImageRef): string {
    if (!this.#options.disk.images.has(digest))
      throw new DinpError("DINP_IMAGE_NOT_FOUND", `Image ${digest} is not prepared.`);
    return `/images/${digest}`;
  }

  #folder(name: string): string {
    return `/data/${this.#options.disk.clusterId}/${name}`;
  }

  #makeFolder(name: string): string {
    const folder = this.#folder(name);
    for (const own of ["home", "tmp"]) this.#options.machine.files.set(`${folder}/${own}/.made`, "");
    return folder;
  }

  #environment(
    spec: RunSpec,
    more: Readonly<Record<string, string>>,
    folder: string,
  ): Record<string, string> {
    const env = Object.fromEntries(Object.entries(spec.env).filter(([name]) => name !== "PORT"));
    const own = {
      HOME: `${folder}/home`,
      TMPDIR: `${folder}/tmp`,
      PATH: "/bin",
      DINP_INSTANCE_ID: spec.instanceId,
    };
    return { ...env, ...more, ...own };
  }

  #lookAfter(instance: MemoryInstance): void {
    instance.onChange = () => {
      this.#tell(instance.spec.instanceId);
    };
  }

  #tell(instanceId: string): void {
    for (const tell of this.#watchers) tell(instanceId);
  }

  async #unlessOver(work: Promise<void> | undefined, signal: AbortSignal | undefined): Promise<void> {
    const ending = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    const over = new Promise<void>((resolve) => {
      ending.addEventListener("abort", () => {
        resolve();
      });
    });
    await Promise.race([work, over]);
    if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The call was aborted.");
    if (this.#closing.signal.aborted) throw closedError();
  }
}

function throwIfAborted(options: Signalled | undefined): void {
  if (options?.signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The call was aborted.");
}

function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The runtime is closed.");
}
