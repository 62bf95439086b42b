// Runs the example with the built programs: with vitest alone, run `npm run build` first.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { eventually, projectRoot, runProgram, type CommandResult } from "./harness.js";
import { tracesOf } from "./cluster-traces.js";

const program = join(projectRoot, "examples/cluster/run");
const UP_MS_MAX = 400_000;
const DOWN_MS_MAX = 300_000;

interface Plan {
  readonly id: string;
  readonly network: number;
}

// It brings servers of its own; that those of the tests are there says that this machine can run them.
describeWithServices(["docker", "postgres", "redis", "registry"], "the example of a cluster", () => {
  let folder: string;

  beforeEach(async () => {
    await mkdir(join(projectRoot, ".cache"), { recursive: true });
    folder = await mkdtemp(join(projectRoot, ".cache/cluster-test-"));
  });

  afterEach(() => run("down"), DOWN_MS_MAX);

  function run(...words: readonly string[]): Promise<CommandResult> {
    return runProgram(program, [...words, "--folder", folder], { timeoutMs: UP_MS_MAX });
  }

  async function done(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(...words);
    expect(code, `${words.join(" ")}: ${stdout}\n${stderr}`).toBe(0);
    return `${stdout}${stderr}`;
  }

  async function plan(): Promise<Plan> {
    return JSON.parse(await readFile(join(folder, "plan.json"), "utf8")) as Plan;
  }

  /** An "up" that goes on by itself, once it has said what matches. */
  async function upUntil(said: RegExp): Promise<ChildProcess> {
    const child = spawn(program, ["up", "--folder", folder], { stdio: ["ignore", "ignore", "pipe"] });
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await eventually(
      `"up" says ${String(said)}`,
      () => {
        if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
        return said.test(output);
      },
      UP_MS_MAX / 2,
    );
    return child;
  }

  test(
    "comes up, answers through both routers, and goes without a trace",
    { timeout: 2 * UP_MS_MAX },
    async () => {
      await done("up");
      const up = await plan();
      const traces = await tracesOf({ ...up, folder });
      for (const [kind, found] of Object.entries(traces)) expect(found, kind).not.toEqual([]);
      const status = await done("status");
      expect(status.match(/\tready$/gm)).toHaveLength(3 + 2 + 1 + 3 + 2 + 1 + 1);
      for (const node of ["n1", "n2", "n3"]) expect(status).toMatch(new RegExp(`ready +${node} `));
      for (const router of [21, 22]) {
        const answer = await ask(`10.${String(up.network)}.0.${String(router)}`, "hello.apps.localhost");
        expect(answer).toContain("hello runs on DINP");
      }
      expect(await done("up")).toContain("It is up already.");
      expect(await done("down")).toContain("It is down.");
      const left = await tracesOf({ ...up, folder });
      for (const [kind, found] of Object.entries(left)) expect(found, kind).toEqual([]);
      expect(await done("down")).toContain("It was not up.");
    },
  );

  test.for([
    { cut: /^network /m, how: "SIGKILL" },
    { cut: /Docker engine on each node/, how: "SIGKILL" },
    { cut: /^n1: /m, how: "down" },
  ] as const)(
    "goes without a trace when it was cut off by $how at $cut",
    { timeout: UP_MS_MAX },
    async ({ cut, how }) => {
      const child = await upUntil(cut);
      const ended = new Promise((resolve) => child.once("close", resolve));
      const up = await plan();
      if (how === "SIGKILL") child.kill(how);
      await done("down");
      await ended;
      const left = await tracesOf({ ...up, folder });
      for (const [kind, found] of Object.entries(left)) expect(found, kind).toEqual([]);
    },
  );
});

function ask(address: string, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: address, port: 8080, headers: { host }, agent: false, timeout: 60_000 };
    const asked = request(options, (response) => {
      resolve(text(response));
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer within 60 s")));
    asked.once("error", reject);
    asked.end();
  });
}
