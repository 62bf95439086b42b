import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bareEnvironment } from "../lib/environment.js";

/** Of the kernel's clock in /proc. */
const TICK_MS = 10;
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

  /** User and system time since its start. */
  get cpuMs(): number {
    const [, rest = ""] = readFileSync(`/proc/${String(this.#child.pid)}/stat`, "utf8").split(") ");
    const fields = rest.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
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
