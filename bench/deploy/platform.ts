import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { request } from "node:http";
import { bareEnvironment } from "../lib/environment.js";

const POLL_MS = 10;
const ANSWER_MAX_MS = 120_000;
const START_MAX_MS = 120_000;
const DINP = join(process.cwd(), "dist/bin/dinp.js");

/** Asks every 10 ms, on a connection of its own, until the answer is 200; the body of that one. */
export async function firstAnswer(url: string, host: string, isOver: () => boolean): Promise<string> {
  const end = performance.now() + ANSWER_MAX_MS;
  while (performance.now() < end) {
    const answer = await ask(url, host);
    if (answer !== null) return answer;
    if (isOver()) throw new Error(`${host} does not answer, and what was to start it has failed`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${host} does not answer at ${url}`);
}

function ask(url: string, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const asked = request(url, { headers: { host }, agent: false, timeout: 1_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.once("error", () => {
        resolve(null);
      });
      response.once("end", () => {
        resolve(response.statusCode === 200 ? body : null);
      });
    });
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => {
      resolve(null);
    });
    asked.end();
  });
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** A `dinp up` on a Docker engine, in a process of its own. */
export class BenchPlatform {
  readonly routerUrl: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #child: ChildProcess;
  #output = "";

  private constructor(child: ChildProcess, env: NodeJS.ProcessEnv, routerUrl: string) {
    this.#child = child;
    this.#env = env;
    this.routerUrl = routerUrl;
    const keep = (chunk: Buffer): void => {
      this.#output += chunk.toString();
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
  }

  static async start(folder: string, socket: string, api: number, router: number): Promise<BenchPlatform> {
    const env = bareEnvironment({
      XDG_CONFIG_HOME: join(folder, "config"),
      DINP_API: `http://127.0.0.1:${String(api)}`,
    });
    const places = ["--api", `127.0.0.1:${String(api)}`, "--router", `127.0.0.1:${String(router)}`];
    const engine = ["--runtime", "docker", "--docker-host", `unix://${socket}`];
    const args = [DINP, "up", ...places, ...engine, "--data", join(folder, "data"), "--log-level", "warn"];
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const platform = new BenchPlatform(child, env, `http://127.0.0.1:${String(router)}`);
    const giveUpAt = performance.now() + START_MAX_MS;
    while (!platform.#output.includes("Push your own")) {
      if (performance.now() > giveUpAt) {
        child.kill("SIGKILL");
        throw new Error(`dinp up is not ready after ${String(START_MAX_MS)} ms: ${platform.#output}`);
      }
      if (hasEnded(child)) throw new Error(`dinp up ended: ${platform.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return platform;
  }

  /** Milliseconds from the command to the first answer through the router. */
  async push(source: string, app: string): Promise<number> {
    const started = performance.now();
    const command = this.#command("push", source, "--app", app);
    const host = `${app}.apps.localhost`;
    await firstAnswer(this.routerUrl, host, () => command.failed !== null);
    const took = performance.now() - started;
    await command.ended;
    if (command.failed !== null) throw new Error(`dinp push failed: ${command.failed}`);
    return took;
  }

  async delete(app: string): Promise<void> {
    const command = this.#command("delete", app, "--yes", "--confirm");
    await command.ended;
    if (command.failed !== null) throw new Error(`dinp delete failed: ${command.failed}`);
  }

  async stop(): Promise<void> {
    if (hasEnded(this.#child)) return;
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGTERM");
    await ended;
  }

  #command(...args: readonly string[]): { readonly failed: string | null; readonly ended: Promise<void> } {
    const child = spawn(process.execPath, [DINP, ...args], {
      env: this.#env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const command: { failed: string | null; ended: Promise<void> } = {
      failed: null,
      ended: new Promise((resolve) => {
        child.once("close", (code) => {
          if (code !== 0) command.failed = said;
          resolve();
        });
      }),
    };
    return command;
  }
}
