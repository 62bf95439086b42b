import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { DinpError, type ExecEvent, type ExecOptions } from "@dinp/core";
import { isAborted } from "../runtime/aborting.js";
import { assertRoom, throwIfOver } from "../runtime/execution-limits.js";
import { findUnusable } from "../runtime/spec-checks.js";
import type { Engine } from "./engine.js";
import { readFrames } from "./frames.js";
import { explainErrno, InitTrailer, type CommandEnd, type InitLine } from "./init-lines.js";

/** One command's connection to the engine, and what has to be known of it. */
export interface Command {
  readonly socket: Duplex;
  readonly token: string;
  /** Lets it run; for what begins only once its connection is there. */
  readonly begin: () => Promise<void>;
  /** How it ended when its first process could not say so because it was ended itself; null when it ended by itself. */
  readonly explainKill: () => Promise<(CommandEnd & { readonly message: string | null }) | null>;
  /** Why a signal ended it, when it was the platform's doing. */
  readonly explainSignal: (signal: string) => Promise<string | null>;
}

/** Ends all processes of a command, and takes away what it was made of; resolves when nothing is left. */
export type EndCommand = () => Promise<void>;

/** What a command is made with. */
export interface Preparation {
  /** Marks all of its processes. */
  readonly token: string;
  /**
   * Says how it is ended from now on; to be called before the engine is asked for something that could be left: a request
   * that fails may have been carried out.
   */
  readonly endWith: (end: EndCommand) => void;
}

/** The commands that run beside instances, and one-offs: see `Runtime.exec` and `Runtime.run`. */
export class Executions {
  readonly #engine: Engine;
  readonly #closing: AbortSignal;
  readonly #running = new Set<Promise<void>>();
  readonly #unended = new Set<EndCommand>();

  /** @param closing Aborts when the runtime closes: all commands are ended then. */
  constructor(engine: Engine, closing: AbortSignal) {
    this.#engine = engine;
    this.#closing = closing;
  }

  /** Resolves when no command is left. To be called after the closing signal. */
  async close(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Ends what could not be ended while the engine was away. */
  async endLost(): Promise<void> {
    for (const end of this.#unended) {
      await end();
      this.#unended.delete(end);
    }
  }

  async *execute(
    options: ExecOptions,
    prepare: (preparation: Preparation) => Promise<Command>,
  ): AsyncGenerator<ExecEvent, void, undefined> {
    throwIfOver(options.signal, this.#closing);
    const unusable = findUnusable({ env: {}, command: options.command });
    if (unusable !== null) throw new DinpError("DINP_INVALID", unusable, { details: { field: "command" } });
    assertRoom(this.#running.size + this.#unended.size);
    let leave = (): void => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#running.add(left);
    let end: EndCommand = () => Promise.resolve();
    try {
      const token = randomBytes(8).toString("hex");
      const endWith = (how: EndCommand): void => {
        end = how;
      };
      const command = await prepare({ token, endWith }).catch(async (error: unknown) => {
        await this.#end(end).catch(() => undefined);
        throw error;
      });
      yield* this.#run(options, command, () => end());
    } finally {
      this.#running.delete(left);
      leave();
    }
  }

  async *#run(
    options: ExecOptions,
    command: Command,
    end: EndCommand,
  ): AsyncGenerator<ExecEvent, void, undefined> {
    const { socket } = command;
    const signal = AbortSignal.any([options.signal, this.#closing]);
    // Whoever reads from the socket is told by its end.
    const cut = (): void => {
      socket.destroy();
    };
    signal.addEventListener("abort", cut, { once: true });
    try {
      if (!signal.aborted) {
        await command.begin();
        // All of it, no faster than it is taken.
        socket.end(options.stdin ?? new Uint8Array(0));
        yield* this.#events(command, options.command[0] ?? "", signal);
      }
    } finally {
      signal.removeEventListener("abort", cut);
      cut();
      await this.#end(end);
    }
    throwIfOver(options.signal, this.#closing);
  }

  /** What cannot be ended now is once the engine is back. */
  async #end(end: EndCommand): Promise<void> {
    try {
      await end();
    } catch (error) {
      this.#unended.add(end);
      throw error;
    }
  }

  async *#events(
    command: Command,
    program: string,
    signal: AbortSignal,
  ): AsyncGenerator<ExecEvent, void, undefined> {
    const trailers = { stdout: new InitTrailer(command.token), stderr: new InitTrailer(command.token) };
    try {
      for await (const { stream, bytes } of readFrames(command.socket)) {
        if (signal.aborted) return;
        const own = trailers[stream].push(bytes);
        if (own.length > 0) yield { type: "output", stream, bytes: Uint8Array.from(own) };
      }
    } catch (error) {
      if (signal.aborted) return;
      throw this.#engine.lost(error);
    }
    if (isAborted(signal)) return;
    const [stdout, stderr] = [trailers.stdout.end(), trailers.stderr.end()];
    if (stdout.rest.length > 0)
      yield { type: "output", stream: "stdout", bytes: Uint8Array.from(stdout.rest) };
    if (stderr.rest.length > 0)
      yield { type: "output", stream: "stderr", bytes: Uint8Array.from(stderr.rest) };
    const exit = await this.#exitOf(command, program, { stdout: stdout.line, stderr: stderr.line });
    if (!isAborted(signal)) yield exit;
  }

  /** @param last What the first process said last on each stream. */
  async #exitOf(
    command: Command,
    program: string,
    last: { readonly stdout: InitLine | null; readonly stderr: InitLine | null },
  ): Promise<ExecEvent> {
    const line = last.stderr;
    if (line?.type === "failed")
      throw new DinpError("DINP_PROGRAM_MISSING", explainErrno(program, line.errno));
    if (line?.type !== "ended") {
      // It had come to its end: only its last words are missing.
      if (last.stdout?.type === "ended") throw outputLost(last.stdout);
      const kill = await command.explainKill();
      if (kill === null) throw outputLost(last.stdout);
      const { code, signal, message } = kill;
      return { type: "exit", code, signal, message };
    }
    if (line.isOnBoth && last.stdout?.type !== "ended") throw outputLost(line);
    const { code, signal } = line.end;
    return {
      type: "exit",
      code,
      signal,
      message: signal === null ? null : await command.explainSignal(signal),
    };
  }
}

/** @param line How the command ended, when that is known. */
function outputLost(line: InitLine | null): DinpError {
  const end = line?.type === "ended" ? { code: line.end.code, signal: line.end.signal } : {};
  return new DinpError("DINP_UNAVAILABLE", "The command ended, and the engine lost the end of its output.", {
    hint: "Nobody took the output for too long: take it sooner, or have the command write less.",
    details: end,
  });
}
