import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../scripts/lib/services/ports.mjs";

export { freePort };

export const projectRoot = fileURLToPath(new URL("../..", import.meta.url));
const dinpProgram = join(projectRoot, "dist/bin/dinp.js");

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A folder in the temporary one that other users may pass through; gone after `remove`. */
export async function temporaryFolder(): Promise<{
  readonly path: string;
  readonly remove: () => Promise<void>;
}> {
  const path = await mkdtemp(join(tmpdir(), "dinp-e2e-"));
  await chmod(path, 0o711);
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Runs a program to its end. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly timeoutMs?: number;
    /** Of standard input, which then ends. Default: none. */
    readonly input?: string;
  } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: options.env ?? process.env,
      cwd: options.cwd ?? projectRoot,
      stdio: ["pipe", "pipe", "pipe"],
      timeout: options.timeoutMs ?? 240_000,
      killSignal: "SIGKILL",
    });
    // A program need not read it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

/** Says that asking again is of no use. */
export class Hopeless extends Error {}

/** Asks again until `probe` gives something, or throws what it last threw after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 60_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown = new Error("never asked");
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
      last = new Error("not yet");
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (performance.now() > end) {
      throw new Error(`${what}: not within ${String(timeoutMs)} ms`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Where a platform's programs are: what their commands begin with, and where tests reach them. */
interface Network {
  readonly entry: readonly string[];
  readonly address: string;
}

const LOOPBACK: Network = { entry: [], address: "127.0.0.1" };

const PORTS_EACH = 3_000;

/** Ports that no platform of a test beside this one gives to its instances: Vitest numbers what runs at the same time from 1. */
function ownInstancePorts(): { readonly first: number; readonly last: number } {
  const first = 20_000 + PORTS_EACH * ((Number(process.env["VITEST_POOL_ID"] ?? 1) - 1) % 4);
  return { first, last: first + PORTS_EACH - 1 };
}

/** A platform in a process of its own, with folders, ports and credentials of its own. */
export class TestPlatform {
  readonly folder: string;
  readonly apiUrl: string;
  readonly routerUrl: string;
  readonly env: NodeJS.ProcessEnv;
  readonly instancePorts = ownInstancePorts();
  readonly #args: readonly string[];
  readonly #entry: readonly string[];
  #child: ChildProcess | null = null;
  #output = "";

  private constructor(folder: string, apiPort: number, routerPort: number, network: Network) {
    this.folder = folder;
    this.#entry = network.entry;
    const router = `${network.address}:${String(routerPort)}`;
    this.apiUrl = `http://127.0.0.1:${String(apiPort)}`;
    this.routerUrl = `http://${router}`;
    this.env = { ...process.env, XDG_CONFIG_HOME: join(folder, "config"), NO_COLOR: "1" };
    this.#args = [
      "--api",
      `127.0.0.1:${String(apiPort)}`,
      "--router",
      router,
      "--data",
      join(folder, "data"),
      "--instance-ports",
      `${String(this.instancePorts.first)}-${String(this.instancePorts.last)}`,
    ];
  }

  static async in(folder: string, network: Network = LOOPBACK): Promise<TestPlatform> {
    return new TestPlatform(folder, await freePort(), await freePort(), network);
  }

  #command(...args: readonly string[]): readonly [string, ...string[]] {
    const program = [process.execPath, dinpProgram, ...args] as const;
    const [first, ...more] = this.#entry;
    return first === undefined ? program : [first, ...more, ...program];
  }

  /** What `dinp up` has printed since it was last started. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the platform does not run");
    return pid;
  }

  /** Starts `dinp up` and waits until it says that it is up. */
  async start(more: readonly string[] = []): Promise<void> {
    this.#output = "";
    const [command, ...args] = this.#command("up", ...this.#args, ...more);
    const child = spawn(command, args, {
      env: this.env,
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const collect = (chunk: Buffer): void => {
      this.#output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    await eventually(
      "dinp up",
      () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Hopeless(`dinp up ended: ${this.#output}`);
        return this.#output.includes("Push your own");
      },
      120_000,
    );
  }

  /** Runs a `dinp up` that is to end by itself. */
  up(more: readonly string[]): Promise<CommandResult> {
    const [command, ...args] = this.#command("up", ...this.#args, ...more);
    return runProgram(command, args, { env: this.env, cwd: this.folder, timeoutMs: 120_000 });
  }

  /** Sends a signal and waits for the end; gives the exit code, or null when a signal ended it. */
  async end(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => {
      child.once("exit", (code) => {
        resolve(code);
      });
    });
    child.kill(signal);
    return ended;
  }

  /** Runs a `dinp` command as this platform's user. */
  dinp(...words: string[]): Promise<CommandResult> {
    const [command, ...args] = this.#command(...words);
    return runProgram(command, args, {
      env: { ...this.env, DINP_API: this.apiUrl },
    });
  }

  /** As {@link TestPlatform.dinp}, with a line on its standard input. */
  dinpWith(line: string, ...words: string[]): Promise<CommandResult> {
    const env = { ...this.env, DINP_API: this.apiUrl };
    const [command, ...args] = this.#command(...words);
    return runProgram(command, args, { env, input: `${line}\n` });
  }

  /** As {@link TestPlatform.dinp}; throws with all that was printed unless it exits with 0. */
  async ok(...args: string[]): Promise<CommandResult> {
    const result = await this.dinp(...args);
    if (result.code === 0) return result;
    const said = `${result.stdout}\n${result.stderr}\n${this.#output}`;
    throw new Error(`dinp ${args.join(" ")} exited with ${String(result.code)}:\n${said}`);
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse((await this.ok(...args, "--json")).stdout) as T;
  }

  /** Asks the router for a path of a host, on a connection of its own. */
  get(host: string, path = "/"): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request(`${this.routerUrl}${path}`, { headers: { host }, agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        response.once("error", reject);
        response.once("end", () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        });
      });
      asked.setTimeout(60_000, () => asked.destroy(new Error("no answer within 60 s")));
      asked.once("error", reject);
      asked.end();
    });
  }

  /** Ends the platform, however it stands; its instances too. */
  async dispose(): Promise<void> {
    await this.end("SIGTERM");
  }
}

/** A machine that is too busy to answer so many is not made busier. */
const PENDING_MAX = 200;

/** Sends requests at a steady rate, whatever the answers, until `stop`. */
export class SteadyLoad {
  readonly failures: string[] = [];
  sent = 0;
  readonly #pending = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  constructor(perSecond: number, send: () => Promise<Answer>) {
    this.#timer = setInterval(() => {
      if (this.#pending.size >= PENDING_MAX) return;
      this.sent += 1;
      const at = this.sent;
      const one = send()
        .then((answer) => {
          if (answer.status !== 200) {
            const why = String(answer.headers["x-dinp-error"]);
            this.failures.push(
              `request ${String(at)}: status ${String(answer.status)} ${why} ${answer.body.slice(0, 80)}`,
            );
          }
        })
        .catch((error: unknown) => {
          this.failures.push(`request ${String(at)}: ${String(error)}`);
        })
        .finally(() => this.#pending.delete(one));
      this.#pending.add(one);
    }, 1000 / perSecond);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }
}

/** The process ids whose environment has this text; what runs for a platform carries its marks. */
export async function processesWith(mark: string): Promise<number[]> {
  const { readdir, readFile } = await import("node:fs/promises");
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const environ = await readFile(`/proc/${name}/environ`, "latin1").catch(() => "");
    if (environ.split("\0").some((variable) => variable.includes(mark))) found.push(Number(name));
  }
  return found;
}
