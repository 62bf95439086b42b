import type { Duplex } from "node:stream";
import { DinpError, isDinpError, type BuildStep, type ByteStream, type StepRunner } from "@dinp/core";
import type { Engine } from "../engine.js";
import { EngineRefusal } from "../engine-refusal.js";
import { readFrames } from "../frames.js";
import type { ImageStore } from "../image-store.js";
import { flagAt, numberAt, textAt } from "../json.js";
import { Names } from "../names.js";
import { Gate } from "../../runtime/gate.js";
import { BuildEngine } from "./build-engine.js";
import { stepBody, stepKind } from "./step-body.js";
import { StepLog } from "./step-log.js";
import { defaultStepLimits, type DockerStepLimits, type DockerStepRunnerOptions } from "./step-options.js";

/** A {@link StepRunner} that has an engine. */
export interface DockerStepRunner extends StepRunner {
  /** Connects, and removes what a platform that was killed has left. Without it, the first step does that. */
  open(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Ends all steps and removes what is the runner's on the engine. Idempotent. */
  close(): Promise<void>;
}

/** Runs each step in a container of its own: see {@link StepRunner}. */
export function createDockerStepRunner(options: DockerStepRunnerOptions): DockerStepRunner {
  return new ContainerStepRunner(options);
}

class ContainerStepRunner implements DockerStepRunner {
  readonly #options: DockerStepRunnerOptions;
  readonly #limits: DockerStepLimits;
  readonly #engine: BuildEngine;
  readonly #gate: Gate;

  constructor(options: DockerStepRunnerOptions) {
    this.#options = options;
    this.#limits = { ...defaultStepLimits, ...options.limits };
    // What a runtime of the cluster has and removes is another's.
    this.#engine = new BuildEngine(new Names(`${options.clusterId}-build`), {
      ...options,
      kind: stepKind,
      timeMs: this.#limits.timeMs,
    });
    this.#gate = new Gate(this.#limits.stepsMax);
  }

  async open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#engine.open(options.signal);
  }

  async close(): Promise<void> {
    await this.#engine.close(() => this.#gate.idle());
  }

  run(step: BuildStep, options: Parameters<StepRunner["run"]>[1]): ByteStream {
    return this.#run(step, options);
  }

  async *#run(
    step: BuildStep,
    { log, signal }: Parameters<StepRunner["run"]>[1],
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
    }, this.#limits.timeMs);
    const signals = [late.signal, this.#engine.closing, ...(signal === undefined ? [] : [signal])];
    const ends = AbortSignal.any(signals);
    const leave = await this.#enter();
    const stepLog = new StepLog(log);
    try {
      yield* this.#contained(step, stepLog, ends);
    } catch (error) {
      if (late.signal.aborted) throw this.#tooLong();
      if (this.#engine.closing.aborted) throw new DinpError("DINP_CLOSED", "The platform is being ended.");
      if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The step was aborted.");
      throw error instanceof EngineRefusal ? startError(step, error) : error;
    } finally {
      stepLog.end();
      clearTimeout(timer);
      leave();
    }
  }

  /** Waits for its turn; gives what ends the turn. */
  async #enter(): Promise<() => void> {
    let leave = (): void => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    await new Promise<void>((resolve) => {
      void this.#gate.run(() => {
        resolve();
        return left;
      });
    });
    return leave;
  }

  async *#contained(
    step: BuildStep,
    log: StepLog,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    signal.throwIfAborted();
    const { engine, images, remover } = await this.#engine.open(signal);
    const image = await this.#bring(images, step, signal);
    const { network = "none" } = this.#options;
    const body = stepBody(step, image, this.#engine.names.clusterId, { network, limits: this.#limits });
    // An engine goes on with what its caller has left: this one waits for the id, to remove what it stands for.
    const id = textAt(await engine.ask("POST", "/containers/create", { body }), "Id");
    try {
      signal.throwIfAborted();
      const query = { stream: "1", stdin: "1", stdout: "1", stderr: "1" };
      const socket = await engine.hijack(`/containers/${id}/attach`, { query, signal });
      const cut = (): void => {
        socket.destroy();
      };
      signal.addEventListener("abort", cut);
      try {
        await engine.ask("POST", `/containers/${id}/start`, { signal });
        const feeding = feed(socket, step.input);
        yield* this.#output(engine, socket, log, signal);
        feeding.throwIfFailed();
        await this.#assertEndedWell(engine, id, step, log, signal);
      } finally {
        signal.removeEventListener("abort", cut);
        cut();
      }
    } finally {
      await remover.remove(id);
    }
  }

  async #bring(images: ImageStore, { image }: BuildStep, signal: AbortSignal) {
    await images.prepare(image, signal);
    const facts = await images.find(image, signal);
    if (facts !== null) return facts;
    throw new DinpError("DINP_UNAVAILABLE", "The step's image was removed from the engine.", {
      retryable: true,
      hint: "Try again.",
    });
  }

  async *#output(
    engine: Engine,
    socket: Duplex,
    log: StepLog,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { logBytesMax, outputBytesMax } = this.#limits;
    let bytes = 0;
    try {
      for await (const frame of readFrames(socket)) {
        if (frame.stream === "stderr") log.push(frame.bytes);
        else bytes += frame.bytes.length;
        if (log.bytes > logBytesMax) throw tooMuch("wrote a log", logBytesMax);
        if (bytes > outputBytesMax) throw tooMuch("made files", outputBytesMax);
        if (frame.stream === "stdout") yield Uint8Array.from(frame.bytes);
      }
    } catch (error) {
      throw isDinpError(error) ? error : engine.lost(error);
    }
    signal.throwIfAborted();
  }

  async #assertEndedWell(
    engine: Engine,
    id: string,
    step: BuildStep,
    log: StepLog,
    signal: AbortSignal,
  ): Promise<void> {
    const { timeMs: timeoutMs, memoryMb, diskMb } = this.#limits;
    const ended = await engine.ask("POST", `/containers/${id}/wait`, { signal, timeoutMs });
    const exitCode = numberAt(ended, "StatusCode");
    if (exitCode === 0) return;
    const state = await engine.ask("GET", `/containers/${id}/json`, { signal });
    if (flagAt(state, "State", "OOMKilled")) {
      throw new DinpError(
        "DINP_TOO_LARGE",
        `The build's step needed more than ${String(memoryMb)} MiB of memory.`,
        {
          hint: "Push what it would make, made elsewhere.",
          details: { exitCode },
        },
      );
    }
    if (log.says(/No space left on device|Errno 28/)) {
      throw new DinpError(
        "DINP_TOO_LARGE",
        `The build's step needed more than ${String(diskMb)} MiB of disk.`,
        {
          hint: "Push what it would make, made elsewhere.",
          details: { exitCode },
        },
      );
    }
    const program = step.command[0] ?? "";
    throw new DinpError(
      "DINP_INVALID",
      `The build's step (${program}) ended with code ${String(exitCode)}.`,
      {
        hint: "The build's log says why.",
        details: { exitCode },
      },
    );
  }

  #tooLong(): DinpError {
    const seconds = String(this.#limits.timeMs / 1000);
    return new DinpError("DINP_TIMEOUT", `The build's step took longer than ${seconds} s.`, {
      hint: "Push what it would make, made elsewhere.",
    });
  }
}

/** Sends the input no faster than it is taken. A step that ends before it has read all is no failure; the input's own is. */
function feed(socket: Duplex, input: ByteStream): { readonly throwIfFailed: () => void } {
  let failure: { readonly error: unknown } | null = null;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", resolve);
    if (socket.destroyed) resolve();
  });
  const send = async (): Promise<void> => {
    try {
      for await (const piece of input) {
        if (socket.destroyed || !socket.writable) return;
        if (!socket.write(piece)) {
          await Promise.race([closed, new Promise((resolve) => socket.once("drain", resolve))]);
        }
      }
    } catch (error) {
      failure = { error };
    } finally {
      socket.end();
    }
  };
  void send();
  return {
    throwIfFailed: () => {
      if (failure !== null) throw failure.error;
    },
  };
}

function startError(step: BuildStep, refusal: EngineRefusal): DinpError {
  if (/executable file not found|no such file or directory/i.test(refusal.message)) {
    const program = step.command[0] ?? "";
    return new DinpError("DINP_INVALID", `The step's image has no program ${program}.`, {
      hint: "Put the app on a base image that has it.",
      details: { field: "base" },
    });
  }
  return new DinpError("DINP_UNAVAILABLE", `The engine does not run the step: ${refusal.message}`, {
    retryable: true,
    cause: refusal,
  });
}

function tooMuch(what: string, bytesMax: number): DinpError {
  const size =
    bytesMax < 1024 ** 2 ? `${String(bytesMax)} bytes` : `${String(Math.floor(bytesMax / 1024 ** 2))} MiB`;
  return new DinpError("DINP_TOO_LARGE", `The build's step ${what} of more than ${size}, and was ended.`, {
    hint: "Push what it would make, made elsewhere.",
  });
}
