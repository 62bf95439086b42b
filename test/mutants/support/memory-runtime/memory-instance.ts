import type { InstanceExit, InstanceSpec, RuntimeInstance } from "@dinp/core";
import { InstanceLog } from "./instance-log.js";
import type { MemoryMachine } from "./machine.js";
import type { MemoryProcess, ProcessEnd } from "./memory-process.js";

export const MB = 1024 * 1024;

/** One instance with its end and its log; it outlives the runtime that started it. */
export class MemoryInstance {
  readonly spec: InstanceSpec;
  readonly group: string;
  readonly log = new InstanceLog();
  /** Aborts when it is removed. */
  readonly removed = new AbortController();
  first: MemoryProcess | null = null;
  readonly #machine: MemoryMachine;
  readonly #startedAt = Date.now();
  #onChange: () => void = () => undefined;
  #exit: InstanceExit | null = null;
  #isStopping = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(machine: MemoryMachine, group: string, spec: InstanceSpec) {
    this.#machine = machine;
    this.group = group;
    this.spec = spec;
  }

  get running(): boolean {
    return this.#exit === null;
  }

  get ending(): boolean {
    return !this.running || this.#isStopping || this.first?.isAlive !== true;
  }

  get view(): RuntimeInstance {
    const { instanceId, appId, releaseId, port } = this.spec;
    const state = this.running ? "running" : "exited";
    const startedAt = this.#startedAt;
    return { instanceId, appId, releaseId, port, state, host: "127.0.0.1", startedAt, exit: this.#exit };
  }

  /** Tells the runtime that looks after it now. */
  set onChange(tell: () => void) {
    this.#onChange = tell;
  }

  run(first: MemoryProcess): void {
    this.first = first;
    this.#ended = first.ended.then((end) => this.#finish(end));
  }

  fail(message: string): void {
    this.#exitAs("start", { code: null, signal: null }, message);
  }

  /** Resolves when no process is left; ends nothing any more when `closing` aborts. */
  async stop(graceMs: number, closing: AbortSignal): Promise<void> {
    if (!this.running) return;
    this.#isStopping = true;
    if (graceMs > 0) this.#machine.kill(this.group, "SIGTERM");
    await Promise.race([this.#ended, sleep(graceMs, AbortSignal.any([closing, this.#endedSignal()]))]);
    if (!closing.aborted) this.#machine.kill(this.group, "SIGKILL");
    await this.#ended;
  }

  #endedSignal(): AbortSignal {
    const controller = new AbortController();
    void this.#ended.then(() => {
      controller.abort();
    });
    return controller.signal;
  }

  async #finish(end: ProcessEnd): Promise<void> {
    if (!this.#isStopping) this.#machine.kill(this.group, "SIGKILL");
    await this.#machine.untilNone(this.group);
    const isOutOfMemory = (this.first?.keptBytes ?? 0) > this.spec.memoryMb * MB;
    if (isOutOfMemory)
      this.#exitAs("memory", end, `It used more than its ${String(this.spec.memoryMb)} MB of memory.`);
    else if (this.#isStopping) this.#exitAs("stopped", end, "It was stopped.");
    else this.#exitAs("exited", end, `It ended by itself, with code ${String(end.code)}.`);
  }

  #exitAs(cause: InstanceExit["cause"], { code, signal }: ProcessEnd, message: string): void {
    this.#exit = { at: Date.now(), cause, code, signal, message, logTail: this.log.tail(20) };
    this.#onChange();
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}
