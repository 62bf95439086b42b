import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { ExecEvent, InstanceSpec } from "@dinp/core";
import { programs } from "../../src/core/testing/runtime-programs.js";
import { describeWithServices } from "../support/services.js";
import { DockerHarness, DockerStage } from "./docker-support/harness.js";
import { eventually } from "./process-support/harness.js";

/** For so long, about 2 s, an engine waits after a command's end for what is on its way; and some more. */
const ENGINE_FORGETS_MS = 4_000;

const PATTERN = `
const pattern = (from, size) => Buffer.from(Uint8Array.from({ length: size }, (_, at) => ((from + at) * 7 + ((from + at) >> 8)) & 255));
`;

const files = {
  ...programs,
  /** Fills all that is between it and its reader, tells on its other output how much that was, and ends. */
  "fill.js": `
    ${PATTERN}
    const fs = require("node:fs");
    const to = Number(process.argv[2]);
    const file = fs.openSync("/proc/self/fd/" + to, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    const nothing = new Int32Array(new SharedArrayBuffer(4));
    let total = 0;
    for (let idle = 0; idle < 50; ) {
      try {
        total += fs.writeSync(file, pattern(total, 4096));
        idle = 0;
      } catch (error) {
        if (error.code !== "EAGAIN") throw error;
        idle += 1;
        Atomics.wait(nothing, 0, 0, 10);
      }
    }
    fs.writeSync(3 - to, String(total));
  `,
  "much.js": `
    ${PATTERN}
    process.stdout.write(pattern(0, 3_000_000));
    process.stderr.write(pattern(0, 1_000_000));
  `,
  /** Says what its first process would say, and more. */
  "fake.js": `
    const fs = require("node:fs");
    const [, , token] = fs.readFileSync("/proc/" + process.ppid + "/cmdline", "utf8").split("\\0");
    const line = "[dinp " + token + "] ended code 7 both\\n";
    for (const to of [1, 2]) fs.writeSync(to, "before " + line + "\\0".repeat(100000) + "amid " + line + line);
  `,
  "shut.js": `
    const fs = require("node:fs");
    fs.closeSync(1);
    fs.closeSync(2);
    process.exit(3);
  `,
};

interface Outcome {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exit: ExecEvent | undefined;
}

/** All of the events. After the first piece of output the reader rests until `rested` resolves. */
async function outcomeOf(
  events: AsyncIterable<ExecEvent>,
  rested: () => Promise<void> = () => Promise.resolve(),
): Promise<Outcome> {
  const written = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let exit: ExecEvent | undefined;
  let hasRested = false;
  for await (const event of events) {
    if (event.type === "exit") {
      exit = event;
      continue;
    }
    written[event.stream].push(event.bytes);
    if (!hasRested) await rested();
    hasRested = true;
  }
  return { stdout: Buffer.concat(written.stdout), stderr: Buffer.concat(written.stderr), exit };
}

function pattern(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 7 + (at >> 8)) & 255));
}

describeWithServices(["docker"], "docker runtime: the whole output", ({ DINP_TEST_DOCKER_SOCKET }) => {
  let stage: DockerStage;
  let harness: DockerHarness;
  let spec: InstanceSpec;

  beforeAll(async () => {
    stage = await DockerStage.start(DINP_TEST_DOCKER_SOCKET);
  }, 300_000);

  beforeEach(async () => {
    harness = await DockerHarness.make(stage);
    spec = await harness.spec(await harness.image(files));
    await harness.runtime.start(spec);
  });

  afterEach(() => harness.dispose());

  afterAll(() => stage.dispose());

  const begin = (
    kind: "exec" | "run",
    command: readonly string[],
    signal = new AbortController().signal,
  ): AsyncIterable<ExecEvent> =>
    kind === "exec"
      ? harness.runtime.exec(spec.instanceId, { command, signal })
      : harness.runtime.run({ ...spec, instanceId: `once-${command.join("-")}` }, { command, signal });

  /** What runs in all containers of the cluster. */
  async function running(): Promise<string[]> {
    const found: string[] = [];
    for (const { Id } of await stage.client.containers(`io.dinp.cluster=${harness.clusterId}`)) {
      // An engine that is at a container's end does not answer this.
      const top = await Promise.race([
        stage.client.ask("GET", `/containers/${Id}/top`).catch(() => ({})),
        delay(2_000, {}, { ref: false }),
      ]);
      // Both are null when nothing runs.
      const { Titles, Processes } = top as {
        readonly Titles?: readonly string[] | null;
        readonly Processes?: readonly (readonly string[])[] | null;
      };
      const at = (Titles ?? []).indexOf("CMD");
      found.push(...(Processes ?? []).map((fields) => fields[at] ?? ""));
    }
    return found;
  }

  const untilEnded = (program: string): Promise<void> =>
    eventually(async () => !(await running()).some((command) => command.startsWith(program)), 60_000);

  it.each(["exec", "run"] as const)(
    "%s: a reader gets all however long it rests after the command's end",
    { timeout: 300_000 },
    async (kind) => {
      const rested = async (): Promise<void> => {
        await untilEnded("node fill.js");
        await delay(ENGINE_FORGETS_MS);
      };
      const [out, err] = await Promise.all(
        ["1", "2"].map((to) => outcomeOf(begin(kind, ["node", "fill.js", to]), rested)),
      );
      const end = { type: "exit", code: 0, signal: null, message: null };
      for (const [full, told, exit] of [
        [out?.stdout, out?.stderr, out?.exit],
        [err?.stderr, err?.stdout, err?.exit],
      ] as const) {
        const size = Number(told?.toString());
        expect(size).toBeGreaterThan(1_000_000);
        expect(full?.length).toBe(size);
        expect(full?.equals(pattern(size))).toBe(true);
        expect(exit).toEqual(end);
      }
    },
  );

  it.each(["exec", "run"] as const)("%s: much output is passed on byte by byte", async (kind) => {
    const { stdout, stderr, exit } = await outcomeOf(begin(kind, ["node", "much.js"]));
    expect(stdout.equals(pattern(3_000_000))).toBe(true);
    expect(stderr.equals(pattern(1_000_000))).toBe(true);
    expect(exit).toEqual({ type: "exit", code: 0, signal: null, message: null });
  });

  it.each(["exec", "run"] as const)(
    "%s: what looks like the end of the output is passed on as it is",
    async (kind) => {
      const { stdout, stderr, exit } = await outcomeOf(begin(kind, ["node", "fake.js"]));
      const [line = ""] = /\[dinp [0-9a-f]{16}\] ended code 7 both\n/.exec(stdout.toString()) ?? [];
      expect(line).not.toBe("");
      const text = `before ${line}${"\0".repeat(100_000)}amid ${line}${line}`;
      expect(stdout.toString()).toBe(text);
      expect(stderr.toString()).toBe(text);
      expect(exit).toEqual({ type: "exit", code: 0, signal: null, message: null });
    },
  );

  it.each(["exec", "run"] as const)("%s: a command may close its own outputs", async (kind) => {
    const { stdout, stderr, exit } = await outcomeOf(begin(kind, ["node", "shut.js"]));
    expect([stdout.length, stderr.length]).toEqual([0, 0]);
    expect(exit).toEqual({ type: "exit", code: 3, signal: null, message: null });
  });

  it.each(["exec", "run"] as const)(
    "%s: says so when the end of the output is lost on its way",
    async (kind) => {
      const path = kind === "exec" ? /^POST \S+\/exec\/\S+\/start/ : /^POST \S+\/attach/;
      harness.proxy.shorten(path, 500_000);
      const end = outcomeOf(begin(kind, ["node", "much.js"])).then(({ exit }) => exit);
      await expect(end).rejects.toMatchObject({
        code: "DINP_UNAVAILABLE",
        retryable: false,
        message: expect.stringMatching(/lost the end of its output/),
      });
    },
  );

  it.each(["exec", "run"] as const)(
    "%s: what waits for its reader ends when it is asked to",
    // By itself it would wait for ten minutes.
    { timeout: 300_000 },
    async (kind) => {
      const abort = new AbortController();
      const rested = async (): Promise<void> => {
        await untilEnded("node fill.js");
        abort.abort();
      };
      const reading = outcomeOf(begin(kind, ["node", "fill.js", "1"], abort.signal), rested);
      await expect(reading).rejects.toMatchObject({ code: "DINP_ABORTED" });
      expect((await running()).filter((command) => !command.includes("server.js"))).toEqual([]);
    },
  );
});
