import { createServer, type RequestListener } from "node:http";
import { connect, type Socket } from "node:net";
import { compileFunction } from "node:vm";
import type { MemoryMachine } from "./machine.js";
import type { MemoryProcess, Program } from "./memory-process.js";

type Callback = (...values: unknown[]) => void;

/** Thrown to leave a program that has called `process.exit`. */
const EXITED = new Error("The process has ended.");
const LARGE_BYTES = 1024 * 1024;

/**
 * `node SCRIPT ARGS…` as a program of this process: the script is given stand-ins for what the suite's programs use, all
 * of which end with their process. Servers and connections are real.
 */
export function nodeProgram(machine: MemoryMachine): Program {
  return (process) => {
    const { argv, cwd } = process.options;
    const path = `${cwd}/${argv[1] ?? ""}`;
    const text = machine.files.get(path);
    if (text === undefined) {
      process.end(1, null);
      return;
    }
    const host = new Host(machine, process);
    const names = ["require", "process", "console", "setTimeout", "setInterval", "Buffer"];
    const script = compileFunction(text, names) as Callback;
    host.guard(() => {
      script(
        (name: string) => host.module(name),
        host.process,
        { log: (line: string) => host.write("stdout", `${line}\n`) },
        (callback: Callback, ms: number) => {
          host.timeout(callback, ms);
        },
        (callback: Callback, ms: number) => {
          host.interval(callback, ms);
        },
        { from: Buffer.from.bind(Buffer), alloc: (bytes: number) => host.take(bytes) },
      );
    });
  };
}

/** What a script can see of Node. */
class Host {
  readonly process: object;
  readonly #machine: MemoryMachine;
  readonly #process: MemoryProcess;

  constructor(machine: MemoryMachine, process: MemoryProcess) {
    this.#machine = machine;
    this.#process = process;
    const { argv, env, cwd, isTerminal } = process.options;
    const output = (stream: "stdout" | "stderr"): object => ({
      isTTY: isTerminal,
      write: (data: string | Uint8Array, callback?: Callback) => this.write(stream, data, callback),
    });
    this.process = {
      pid: 1,
      argv,
      env,
      cwd: () => cwd,
      stdin: {
        isTTY: isTerminal,
        on: (event: string, callback: Callback) => {
          this.#onInput(event, callback);
        },
      },
      stdout: output("stdout"),
      stderr: output("stderr"),
      on: (event: string, callback: Callback) => {
        if (event !== "SIGTERM") return;
        process.onTerm = () => {
          this.guard(callback);
        };
      },
      kill: (_pid: number, signal: string) => {
        process.signal(signal);
      },
      exit: (code: number) => {
        process.end(code, null);
        throw EXITED;
      },
      set exitCode(code: number) {
        process.exitCode = code;
      },
    };
  }

  /** Runs a piece of the script; what it throws ends the process. */
  guard(callback: () => void): void {
    if (!this.#process.isAlive) return;
    try {
      callback();
    } catch (error) {
      if (error === EXITED) return;
      this.write("stderr", `${String(error)}\n`);
      this.#process.end(1, null);
    }
  }

  write(stream: "stdout" | "stderr", data: string | Uint8Array, callback?: Callback): boolean {
    const done = this.#process.hold(() => undefined);
    void this.#process.options.write(stream, Buffer.from(data)).then(() => {
      if (callback !== undefined) this.guard(callback);
      done();
    });
    return true;
  }

  timeout(callback: Callback, ms: number): void {
    const timer = setTimeout(() => {
      this.guard(callback);
      done();
    }, ms);
    const done = this.#process.hold(() => {
      clearTimeout(timer);
    });
  }

  interval(callback: Callback, ms: number): void {
    const timer = setInterval(() => {
      this.guard(callback);
    }, ms);
    this.#process.hold(() => {
      clearInterval(timer);
    });
  }

  /** Memory is taken on paper only; what comes in large pieces counts as kept. */
  take(bytes: number): Uint8Array {
    if (bytes < LARGE_BYTES) return Buffer.alloc(bytes, 120);
    this.#process.keptBytes += bytes;
    if (this.#process.keptBytes > this.#process.options.memoryBytes) this.#process.end(null, "SIGKILL");
    return Buffer.alloc(0);
  }

  module(name: string): object {
    switch (name) {
      case "node:http":
        return { createServer: (listener: RequestListener) => this.#server(listener) };
      case "node:net":
        return { connect: (port: number, host: string) => this.#connection(port, host) };
      case "node:child_process":
        return { spawn: (program: string, args: readonly string[]) => this.#spawn(program, args) };
      case "node:fs":
        return {
          existsSync: (path: string) =>
            [...this.#machine.files.keys()].some((file) => `${file}/`.startsWith(`${path}/`)),
          readFileSync: (path: string) => this.#machine.files.get(path),
          writeFileSync: (path: string, text: string) => this.#machine.files.set(path, text),
        };
      default:
        throw new Error(`Cannot find module ${name}.`);
    }
  }

  #server(listener: RequestListener): object {
    const server = createServer((request, response) => {
      this.guard(() => {
        listener(request, response);
      });
    });
    server.on("error", (error) => {
      this.guard(() => {
        throw error;
      });
    });
    return {
      listen: (port: number, callback: Callback) => {
        this.#process.hold(() => {
          server.close();
          server.closeAllConnections();
        });
        server.listen(port, "127.0.0.1", () => {
          this.guard(callback);
        });
      },
    };
  }

  #connection(port: number, host: string): Socket {
    const socket = connect(port, host);
    const done = this.#process.hold(() => {
      socket.destroy();
    });
    socket.once("close", done);
    return socket;
  }

  #spawn(program: string, args: readonly string[]): object {
    const { options, group } = this.#process;
    const write = (): Promise<void> => Promise.resolve();
    const argv = [program, ...args];
    this.#machine.spawn(nodeProgram(this.#machine), { ...options, argv, group, isFirst: false, write });
    return { unref: () => undefined };
  }

  #onInput(event: string, callback: Callback): void {
    const { stdin } = this.#process.options;
    const done = this.#process.hold(() => undefined);
    setImmediate(() => {
      if (event === "end" || stdin.length > 0)
        this.guard(() => {
          callback(Buffer.from(stdin));
        });
      done();
    });
  }
}
