// What a new user does after reading the README, word by word, on ports and folders of its own.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { expect, onTestFailed, onTestFinished, test } from "vitest";
import { eventually, freePort, projectRoot, runProgram, temporaryFolder } from "../e2e/harness.js";
import { commandsOf } from "./command-errors.js";
import { blocksUnder, pagesOf } from "./markdown.js";

/** The commands under a heading of the README. */
function commandsUnder(anchor: string): readonly (readonly string[])[] {
  const readme = pagesOf(projectRoot).find(({ path }) => path === "README.md");
  const blocks = readme === undefined ? [] : blocksUnder(readme, anchor);
  const shell = blocks.filter(({ language }) => language === "sh");
  return shell.flatMap(({ text }) => commandsOf(text).map(({ words }) => words));
}

/** A program that runs until it is told to end, in a group of its own; ended at the latest with the test. */
class Service {
  output = "";
  readonly #ended: Promise<void>;
  readonly #pid: number;

  constructor([command = "", ...args]: readonly string[], env: NodeJS.ProcessEnv) {
    const child = spawn(command, args, { cwd: projectRoot, env, detached: true });
    this.#pid = child.pid ?? 0;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.#ended = new Promise((resolve) => {
      child.once("close", () => {
        resolve();
      });
    });
    onTestFailed(() => {
      console.error(this.output);
    });
    onTestFinished(() => this.end("SIGKILL"));
  }

  says(text: string): Promise<unknown> {
    return eventually(`"${text}"`, () => this.output.includes(text), 300_000);
  }

  /** As a terminal does it: to the whole group. */
  async end(signal: "SIGINT" | "SIGKILL"): Promise<void> {
    try {
      process.kill(-this.#pid, signal);
    } catch {
      // It has ended.
    }
    await this.#ended;
  }
}

/** Asks for a URL whose host only a browser, or curl, can look up. */
function get(url: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, pathname } = new URL(url);
    const asked = request({ port, path: pathname, headers: { host }, agent: false }, (response) => {
      let body = `${String(response.statusCode)}\n`;
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.once("end", () => {
        resolve(body);
      });
    });
    asked.once("error", reject);
    asked.end();
  });
}

test("try it, push an app, stop: as the README says", async () => {
  const folder = await temporaryFolder();
  onTestFinished(folder.remove);
  const env = { ...process.env, HOME: folder.path, XDG_CONFIG_HOME: join(folder.path, "config") };
  const [api, router] = [await freePort(), await freePort()];
  const [start = [], curl = []] = commandsUnder("try-it");
  expect([start, curl[0]]).toEqual([["npm", "start"], "curl"]);
  const places = ["--api", `127.0.0.1:${String(api)}`, "--router", `127.0.0.1:${String(router)}`];
  const platform = new Service([...start, "--", ...places, "--data", join(folder.path, "data")], env);
  await platform.says("Push your own");
  const page = await get(curl[1] ?? "", router);
  expect(page).toMatch(/^200\n[^]*hello is running/);

  const commands = commandsUnder("push-your-own-app");
  expect(commands.length).toBeGreaterThan(0);
  for (const [command = "", ...args] of commands) {
    const { code, stdout, stderr } = await runProgram(command, args, { env });
    expect([args, code, stderr]).toEqual([args, 0, expect.any(String)]);
    expect(stdout).not.toBe("");
  }
  expect(await get("http://shop.apps.localhost/", router)).toMatch(/^200\n/);
  await platform.end("SIGINT");
  expect(platform.output).toContain("stopping: router, API, instances, store");
}, 600_000);

test("a router by itself, as the README says", async () => {
  const folder = await temporaryFolder();
  onTestFinished(folder.remove);
  const endpoint = createServer((_, response) => response.end("from the endpoint"));
  onTestFinished(() => {
    endpoint.close();
  });
  const [app, router] = [await freePort(), await freePort()];
  await new Promise<void>((resolve) => endpoint.listen(app, "127.0.0.1", resolve));
  const routes = join(folder.path, "routes.json");
  const endpoints = [`127.0.0.1:${String(app)}`];
  writeFileSync(routes, JSON.stringify({ routes: [{ host: "shop.example.com", app: "shop", endpoints }] }));
  const [words = []] = commandsUnder("a-router-by-itself");
  const own = words.map((word) =>
    word.replace("routes.json", routes).replace(/:8080$/, `:${String(router)}`),
  );
  expect(own).not.toEqual(words);
  const service = new Service(own, process.env);
  await service.says("dinp-router listens");
  expect(await get("http://shop.example.com/", router)).toBe("200\nfrom the endpoint");
  await service.end("SIGINT");
}, 600_000);
