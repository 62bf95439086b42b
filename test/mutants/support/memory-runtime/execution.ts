import { DinpError, type ExecEvent, type ExecOptions } from "@dinp/core";
import type { MemoryMachine } from "./machine.js";
import type { MemoryProcess, ProcessEnd, Program } from "./memory-process.js";

/** What a command is run with. */
export interface Command {
  readonly group: string;
  readonly program: Program;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly memoryBytes: number;
  /** Aborts when the instance ends that it runs beside. */
  readonly instanceEnds: AbortSignal | null;
  /** Why a signal of the platform ended it. */
  readonly explain: (first: MemoryProcess) => string | null;
  readonly cleanUp: () => void;
}

/** A command from its start until none of its processes is left. */
export class Execution {
  /** Resolves when nothing of it is left. */
  readonly over: Promise<void>;
  readonly #machine: MemoryMachine;
  readonly #command: Command;
  readonly #first: MemoryProcess;
  readonly #written: { readonly event: ExecEvent; readonly taken: () => void }[] = [];
  #end: ProcessEnd | null = null;
  #wake: () => void = () => undefined;

  constructor(machine: MemoryMachine, command: Command, { command: argv, stdin }: ExecOptions) {
    this.#machine = machine;
    this.#command = command;
    const { group, env, cwd, memoryBytes, program } = command;
    this.#first = machine.spawn(program, {
      ...{ group, env, cwd, memoryBytes, argv },
      isFirst: true,
      isTerminal: false,
      stdin: stdin ?? new Uint8Array(0),
      write: (stream, bytes) =>
        new Promise((taken) => {
          this.#written.push({ event: { type: "output", stream, bytes }, taken });
          this.#wake();
        }),
    });
    this.over = this.#untilOver();
  }

  readonly stop = (): void => {
    this.#machine.kill(this.#command.group, "SIGKILL");
  };

  async *events(signal: AbortSignal, closing: AbortSignal): AsyncGenerator<ExecEvent, void> {
    const ends = [
      signal,
      closing,
      ...(this.#command.instanceEnds === null ? [] : [this.#command.instanceEnds]),
    ];
    const ending = AbortSignal.any(ends);
    if (ending.aborted) this.stop();
    else ending.addEventListener("abort", this.stop);
    try {
      for (;;) {
        const next = this.#written.shift();
        if (next !== undefined) {
          yield next.event;
          next.taken();
        } else if (this.#end === null)
          await Promise.race([this.over, new Promise<void>((resolve) => (this.#wake = resolve))]);
        else break;
      }
      if (signal.aborted) throw new DinpError("DINP_ABORTED", "The command was aborted.");
      if (closing.aborted) throw new DinpError("DINP_CLOSED", "The runtime is closed.");
      const { code, signal: name } = this.#end;
      const message = name === "SIGKILL" ? this.#command.explain(this.#first) : null;
      yield { type: "exit", code, signal: name, message };
    } finally {
      ending.removeEventListener("abort", this.stop);
      this.stop();
      await this.over;
    }
  }

  async #untilOver(): Promise<void> {
    const end = await this.#first.ended;
    this.stop();
    await this.#machine.untilNone(this.#command.group);
    this.#command.cleanUp();
    this.#end = end;
  }
}
