// Runs the built program: with vitest alone, run `npm run build` first.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { Agent, createServer, request, type RequestListener } from "node:http";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { eventually, Hopeless, projectRoot, runProgram, temporaryFolder } from "./harness.js";

const program = join(projectRoot, "dist/bin/dinp-router.js");

test("requests follow the file: a switch under load fails none, a bad edit changes nothing and is told", async () => {
  const [first, second] = [await startApp("first"), await startApp("second")];
  const file = await routeFile(routesTo(first));
  const router = await startRouter(file);
  expect(router.output()).toMatch(
    /^dinp-router listens on http:\/\/127\.0\.0\.1:\d+ with 1 route to 1 endpoint of /,
  );
  expect(await get(router.port, "shop.test")).toEqual({ status: 200, body: "first" });
  expect((await get(router.port, "other.test")).status).toBe(404);

  const load = startLoad(router.port, "shop.test");
  await eventually("load", () => load.answers.length > 100);
  await writeFile(file, routesTo(second));
  await eventually("the switch", async () => (await get(router.port, "shop.test")).body === "second");
  const switched = load.answers.length;
  await eventually("load after the switch", () => load.answers.length > switched + 100);
  await load.end();
  expect(load.failures).toEqual([]);
  expect([...new Set(load.answers)]).toEqual(["first", "second"]);

  await writeFile(file, routesTo("127.0.0.1:99999"));
  await eventually("the warning", () => router.errors().includes("127.0.0.1:99999"));
  expect(router.errors()).toContain("the last good table is served");
  expect(await get(router.port, "shop.test")).toEqual({ status: 200, body: "second" });
  router.child.kill("SIGHUP");
  await eventually("the second warning", () => router.errors().includes("was read again and cannot be used"));
  await writeFile(file, routesTo(first));
  await eventually("the recovery", async () => (await get(router.port, "shop.test")).body === "first");
});

test("SIGTERM lets a request in flight end, and takes no other", async () => {
  let answer: () => void = () => undefined;
  const app = await startApp("slow", (_request, response) => {
    response.write("begun ");
    answer = () => response.end("and ended");
  });
  const router = await startRouter(await routeFile(routesTo(app)));
  const inFlight = get(router.port, "shop.test", () => {
    router.child.kill("SIGTERM");
  });
  await eventually("the end of listening", async () => {
    const refused = await get(router.port, "other.test").catch(() => null);
    return refused === null;
  });
  answer();
  expect(await inFlight).toEqual({ status: 200, body: "begun and ended" });
  expect(await router.ended).toBe(0);
});

test("SIGTERM cuts a request that does not end within --drain", async () => {
  const app = await startApp("endless", (_request, response) => {
    response.write("begun");
  });
  const router = await startRouter(await routeFile(routesTo(app)), "--drain", "50ms");
  const inFlight = get(router.port, "shop.test", () => {
    router.child.kill("SIGTERM");
  });
  await expect(inFlight).rejects.toThrow();
  expect(await router.ended).toBe(0);
});

test("--check-config says what is wrong, and exit codes tell wrong usage from failure", async () => {
  const good = await routeFile(routesTo("10.0.0.5:8080"));
  const checked = await dinpRouter("--routes", good, "--check-config", "--log-level", "warn");
  expect(checked).toMatchObject({ code: 0, stderr: "" });
  expect(checked.stdout).toContain(`router.routes = ${JSON.stringify(good)}   (--routes)\n`);
  expect(checked.stdout).toContain('log.level = "warn"   (--log-level)\n');
  expect(checked.stdout).toContain('router.listen = {"host":"127.0.0.1","port":8080}   (default)\n');
  expect(checked.stdout).toMatch(/: 1 route to 1 endpoint\n$/);
  const bad = await routeFile(routesTo("10.0.0.5:99999"));
  for (const args of [["--check-config"], ["--listen", "0"]]) {
    const { code, stdout, stderr } = await dinpRouter("--routes", bad, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(
      `error: The route file ${bad} cannot be used: routes[0].endpoints[0]: "10.0.0.5:99999"`,
    );
    expect(stderr).toContain("hint: A route looks like");
  }
  const missing = await dinpRouter("--routes", `${good}-none`, "--check-config");
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain("there is no such file");
  const usages: readonly (readonly [args: readonly string[], says: string])[] = [
    [[], "router.routes and table.url are both missing"],
    [["--routes", good, "--listen", "nowhere:99999"], '"nowhere:99999"'],
    [["--routes", good, "--drain", "10"], "router.drain must be a duration"],
    [["--routes", good, "--log-level", "loud"], '"loud"'],
    [["--rutes", good], "--rutes"],
    [["serve"], "serve"],
  ];
  for (const [args, says] of usages) {
    const { code, stderr } = await dinpRouter(...args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).toContain(says);
  }
  expect((await dinpRouter("--help")).stdout).toContain("Usage: dinp-router [--config FILE] [settings]");
});

test("a port that is taken is told", async () => {
  const taken = await startApp("taken");
  const { code, stderr } = await dinpRouter("--routes", await routeFile(routesTo(taken)), "--listen", taken);
  expect(code).toBe(1);
  expect(stderr).toContain("is taken");
});

function dinpRouter(...args: readonly string[]) {
  return runProgram(process.execPath, [program, ...args], { timeoutMs: 60_000 });
}

function routesTo(endpoint: string): string {
  return JSON.stringify({ routes: [{ host: "shop.test", app: "shop", endpoints: [endpoint] }] });
}

async function routeFile(text: string): Promise<string> {
  const { path, remove } = await temporaryFolder();
  onTestFinished(remove);
  const file = join(path, "routes.json");
  await writeFile(file, text);
  return file;
}

/** An app that answers with its name unless it is told how; gives its address. */
async function startApp(name: string, listener?: RequestListener): Promise<string> {
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

interface RunningRouter {
  readonly child: ChildProcess;
  readonly port: number;
  readonly output: () => string;
  readonly errors: () => string;
  /** The exit code. */
  readonly ended: Promise<number | null>;
}

async function startRouter(file: string, ...more: readonly string[]): Promise<RunningRouter> {
  const args = [program, "--routes", file, "--listen", "127.0.0.1:0", ...more];
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

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function get(
  port: number,
  host: string,
  onHead: () => void = () => undefined,
  agent?: Agent,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, headers: { host }, agent: agent ?? false };
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
function startLoad(port: number, host: string) {
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
