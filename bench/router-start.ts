// npm run bench:router-start [-- --rounds N] [--check]
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Route } from "@dinp/core";
import { createFileRouteCache } from "@dinp/core/file";
import { createFileLocalState } from "@dinp/core/system";
import { freePort } from "../scripts/lib/services/ports.mjs";
import { roundsOf } from "./lib/again.js";
import { median, runBench, type Recorder } from "./lib/bench.js";
import { bareEnvironment } from "./lib/environment.js";
import { HttpPoll } from "./routes/http-poll.js";

const ROUTES = 10_000;
const POLL_MS = 5;
const LATEST_MS = 60_000;
const CLUSTER = "bench";
const ROUTER = "router-bench";
const argv = process.argv.slice(2);

await runBench(
  {
    name: "router-start",
    title:
      "From the start of dinp-router to its first answer with 10,000 saved routes, while Redis and the servers take connections and say nothing",
    goals: { "start to the first answer, longest": { atMost: 2_000 } },
    run,
  },
  argv,
);

async function run(recorder: Recorder): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dinp-bench-router-start-"));
  const [app, silent] = [await startApp(), await startSilent()];
  try {
    await saveTable(folder, portOf(app));
    const rounds = roundsOf(argv, 10);
    recorder.note(`${String(rounds)} starts, one after the other; asked every ${String(POLL_MS)} ms`);
    const [starts, bare]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round += 1) {
      bare.push(bareStart());
      starts.push(await startToAnswer(folder, silent.port));
    }
    recorder.measure("start to the first answer, longest", Math.max(...starts), "ms");
    recorder.measure("start to the first answer, median", median(starts), "ms");
    recorder.measure("limit, a process of Node that does nothing, median", median(bare), "ms");
    recorder.measure("median over the limit", median(starts) / median(bare), "x");
  } finally {
    app.close();
    silent.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a router of a platform leaves behind: its registration and its table. */
async function saveTable(folder: string, port: number): Promise<void> {
  const now = Date.now();
  const mark = { routerId: ROUTER, clusterId: CLUSTER, registeredAt: now, confirmedAt: now };
  await createFileLocalState({ dir: folder }).write("registration", JSON.stringify(mark));
  const routes = Array.from({ length: ROUTES }, (_, number): Route => {
    const endpoint = { instanceId: `i-${String(number)}`, host: "127.0.0.1", port };
    return {
      ...{ host: hostOf(number), path: "/", appId: `a-${String(number)}`, appName: `name-${String(number)}` },
      ...{ endpoints: [endpoint], unavailable: null },
    };
  });
  const cache = createFileRouteCache({ path: join(folder, "routes.jsonl") });
  await cache.save({ version: { incarnation: "bench", epoch: 1, revision: 1 }, routes });
}

async function startToAnswer(folder: string, silentPort: number): Promise<number> {
  const port = await freePort();
  const silent = `127.0.0.1:${String(silentPort)}`;
  const platform = ["--servers", `http://${silent}`, "--token", "bench", "--plaintext", "true"];
  const table = ["--table-url", `redis://${silent}`, "--cluster-id", CLUSTER, "--id", ROUTER];
  const own = ["--data-dir", folder, "--listen", `127.0.0.1:${String(port)}`, "--log-level", "error"];
  const start = performance.now();
  const child = spawn(process.execPath, ["dist/bin/dinp-router.js", ...platform, ...table, ...own], {
    env: bareEnvironment(),
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  try {
    await untilAnswered(child, port, start);
    return performance.now() - start;
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

async function untilAnswered(child: ChildProcess, port: number, start: number): Promise<void> {
  while (performance.now() - start < LATEST_MS) {
    if (child.exitCode !== null) throw new Error(`dinp-router ended with ${String(child.exitCode)}`);
    const poll = new HttpPoll(port);
    try {
      if ((await poll.ask(hostOf(ROUTES - 1))) === 200) return;
    } catch {
      // It does not listen yet.
    } finally {
      poll.close();
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`dinp-router did not answer within ${String(LATEST_MS)} ms`);
}

function bareStart(): number {
  const start = performance.now();
  execFileSync(process.execPath, ["-e", "0"], { env: bareEnvironment() });
  return performance.now() - start;
}

async function startApp(): Promise<HttpServer> {
  const server = createHttpServer((_request, response) => response.end("here"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Takes connections and never says a word, as a process that was stopped does. */
async function startSilent(): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: portOf(server),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function hostOf(number: number): string {
  return `name-${String(number)}.apps.bench`;
}
