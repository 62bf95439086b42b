import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, createServer, request, type RequestListener } from "node:http";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { eventually, Hopeless, projectRoot } from "./harness.js";

/** The built `dinp-router`: with vitest alone, run `npm run build` first. */
export const program = join(projectRoot, "dist/bin/dinp-router.js");

/** An app that answers with its name unless it is told how; gives its address. */
export async function startApp(name: string, listener?: RequestListener): Promise<string> {
  const server = createServer(listener ?? ((_request, response) => response.end(name)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The app has no port.");
  return `127.0.0.1:${String(address.port)}`;
}

export interface RunningRouter {
  readonly child: ChildProcess;
  readonly port: number;
  readonly output: () => string;
  readonly errors: () => string;
  /** The exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts the program on a port of its own. */
export async function startRouter(...more: readonly string[]): Promise<RunningRouter> {
  const args = [program, "--listen", "127.0.0.1:0", ...more];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const port = await eventually("dinp-router", () => {
    if (child.exitCode !== null) throw new Hopeless(`dinp-router ended: ${stdout}${stderr}`);
    const listening = /listens on http:\/\/127\.0\.0\.1:(\d+) /.exec(stdout);
    return listening === null ? undefined : Number(listening[1]);
  });
  return { child, port, output: () => stdout, errors: () => stderr, ended };
}

export interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

export function get(
  port: number,
  host: string,
  onHead: () => void = () => undefined,
  agent?: Agent,
  path = "/",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, headers: { host }, agent: agent ?? false };
    const asking = request(options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        if (body === "") onHead();
        body += chunk;
      });
      response.once("end", () => {
        resolve({ status: response.statusCode, body });
      });
      response.once("error", reject);
    });
    asking.once("error", reject);
    asking.end();
  });
}

/** Asks again and again, on connections that are kept and on new ones. */
export function startLoad(port: number, host: string) {
  const answers: string[] = [];
  const failures: unknown[] = [];
  const agent = new Agent({ keepAlive: true });
  let isOver = false;
  const ask = async (own?: Agent): Promise<void> => {
    while (!isOver) {
      try {
        const { status, body } = await get(port, host, undefined, own);
        if (status === 200) answers.push(body);
        else failures.push(`${String(status)} ${body}`);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const asking = Promise.all([ask(agent), ask(agent), ask(), ask()]);
  return {
    answers,
    failures,
    end: async () => {
      isOver = true;
      await asking;
      agent.destroy();
    },
  };
}
