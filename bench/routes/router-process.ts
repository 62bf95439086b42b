import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bareEnvironment } from "../lib/environment.js";

const START_MS_MAX = 120_000;

/** One `dinp-router`, as operators run it; it is registered already. */
export class RouterProcess {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(
    id: string,
    folder: string,
    table: { readonly url: string; readonly cluster: string },
  ): Promise<RouterProcess> {
    const args = [
      "--table-url",
      table.url,
      "--cluster-id",
      table.cluster,
      "--id",
      id,
      "--registered",
      "true",
    ];
    const own = ["--data-dir", join(folder, id), "--listen", "127.0.0.1:0", "--log-level", "warn"];
    const child = spawn(process.execPath, ["dist/bin/dinp-router.js", ...args, ...own], {
      env: bareEnvironment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      return new RouterProcess(child, await listeningPort(child));
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** Time on a processor since its start, of all its threads: as the scheduler counts it, not by ticks of a clock that timers run with. */
  get cpuMs(): number {
    const tasks = `/proc/${String(this.#child.pid)}/task`;
    return readdirSync(tasks).reduce((sum, task) => sum + onProcessorMs(`${tasks}/${task}/schedstat`), 0);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/** A thread that has ended meanwhile counts nothing. */
function onProcessorMs(path: string): number {
  try {
    return Number(readFileSync(path, "utf8").split(" ")[0]) / 1e6;
  } catch {
    return 0;
  }
}

async function listeningPort(child: ChildProcess): Promise<number> {
  const { stdout } = child;
  if (stdout === null) throw new Error("The router has no output.");
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS_MAX);
  try {
    for await (const line of createInterface({ input: stdout })) {
      const found = /listens on http:\/\/[^:]+:(\d+) /.exec(line);
      if (found !== null) {
        stdout.resume();
        return Number(found[1]);
      }
    }
    throw new Error("The router ended before it listened; the reason is above.");
  } finally {
    clearTimeout(timer);
  }
}
