import { type ChildProcess, spawn } from "node:child_process";
import { freeze } from "../adapters/support/freeze.js";
import { eventually, Hopeless } from "./harness.js";

/** One program of a cluster: with vitest alone, run `npm run build` first. */
export class ClusterProgram {
  readonly #command: readonly string[];
  readonly #entry: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly name: string;
  #child: ChildProcess | null = null;
  #until = /^/;
  #output = "";

  /** `command`: Node's arguments. `entry`: what the command line begins with, before Node. */
  constructor(
    name: string,
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    entry: readonly string[] = [],
  ) {
    this.name = name;
    this.#command = command;
    this.#env = env;
    this.#entry = entry;
  }

  /** What it has printed and logged since it was last started. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }

  /** Starts it; resolves when it has printed what matches. */
  async start(until: RegExp): Promise<void> {
    this.#until = until;
    this.#output = "";
    const [program = process.execPath, ...args] = [...this.#entry, process.execPath, ...this.#command];
    const child = spawn(program, args, {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const collect = (chunk: Buffer): void => {
      this.#output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    await eventually(
      this.name,
      () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Hopeless(`${this.name} ended: ${this.#output}`);
        return until.test(this.#output);
      },
      120_000,
    );
  }

  /** As it was started last. */
  restart(): Promise<void> {
    return this.start(this.#until);
  }

  /** SIGSTOP; resolves when all of it stands still. */
  pause(): Promise<void> {
    return freeze(this.pid);
  }

  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** Resolves when it has ended by itself; gives the exit code. */
  async ended(timeoutMs = 120_000): Promise<number | null> {
    const child = this.#child;
    const hasEnded = (): boolean => child === null || child.exitCode !== null || child.signalCode !== null;
    await eventually(`the end of ${this.name}`, hasEnded, timeoutMs);
    return child?.exitCode ?? null;
  }

  /** Sends a signal and waits for the end; gives the exit code, or null when a signal ended it. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill(signal);
      // A stopped process takes nothing else.
      child.kill("SIGCONT");
      await ended;
    }
    return child.exitCode;
  }
}
