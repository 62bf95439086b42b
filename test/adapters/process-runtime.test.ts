import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { InstanceExit, InstanceSpec } from "@dinp/core";
import type { ProcessRuntime } from "@dinp/core/process";
import {
  eventually,
  fetchText,
  isAlive,
  markedProcesses,
  ProcessHarness,
  type RuntimeSettings,
} from "./process-support/harness.js";

const asRoot = process.getuid?.() === 0;
const SERVER = `
require("node:http").createServer((request, response) => response.end(String(process.pid)))
  .listen(Number(process.env.PORT));
`;

async function makeHarness(settings: RuntimeSettings = {}): Promise<ProcessHarness> {
  const harness = await ProcessHarness.make(settings);
  onTestFinished(() => harness.dispose());
  return harness;
}

async function untilExited(runtime: ProcessRuntime, instanceId: string): Promise<InstanceExit> {
  const ends: InstanceExit[] = [];
  await eventually(async () => {
    for (const instance of await runtime.list())
      if (instance.instanceId === instanceId && instance.exit !== null) ends.push(instance.exit);
    return ends.length > 0;
  });
  const [end] = ends;
  if (end === undefined) throw new Error(`${instanceId} has no end.`);
  return end;
}

/** Starts files with a command and waits for the end. */
async function runToEnd(
  harness: ProcessHarness,
  files: Record<string, string>,
  parts: Partial<InstanceSpec>,
): Promise<InstanceExit> {
  const spec = await harness.spec(await harness.image(files), parts);
  await harness.runtime.start(spec);
  return untilExited(harness.runtime, spec.instanceId);
}

/** Living processes of a user. */
/** In one go: processes that live for milliseconds would be gone before a slower look came to them. */
function processesOf(uid: number): number[] {
  const owned = new RegExp(`^Uid:\\s+${String(uid)}\\s`, "m");
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && owned.test(statusOf(pid)) && isAlive(pid));
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/status`, "latin1");
  } catch {
    return "";
  }
}

async function textOf(runtime: ProcessRuntime, instanceId: string, tail = 100): Promise<string[]> {
  const lines: string[] = [];
  for await (const { text } of runtime.logs(instanceId, { tail })) lines.push(text);
  return lines;
}

describe("process runtime: ends", () => {
  it("tells of an instance's kill -9, and how it ended", async () => {
    const { runtime, spec, pid } = await withRunning();
    const abort = new AbortController();
    const told = runtime.watch({ signal: abort.signal })[Symbol.asyncIterator]().next();
    process.kill(pid, "SIGKILL");
    expect(await told).toEqual({ done: false, value: spec.instanceId });
    abort.abort();
    const [instance] = await runtime.list();
    expect(instance).toMatchObject({
      state: "exited",
      exit: { cause: "exited", code: null, signal: "SIGKILL" },
    });
    expect(instance?.exit?.message).toContain("SIGKILL (not by the platform)");
  });

  const what = "ends what is left of the group, and what left it, when the first process ends";
  // Sampled: no cgroup knows them, and their environment alone says whose they are.
  it.each(["auto", "sampled"] as const)(`${what} (%s)`, async (memoryLimit) => {
    const harness = await makeHarness({ memoryLimit });
    const files = {
      "main.js": `
        const { spawn } = require("node:child_process");
        for (const detached of [false, true])
          spawn("/bin/sleep", ["1000"], { detached, stdio: "inherit" });
        spawn("/bin/sh", ["-c", "setsid setsid sleep 1000 & exit 0"], { stdio: "inherit" });
        // What says whose it is stands behind more than is read of a file at once.
        const env = { FIRST: "x".repeat(100_000), ...process.env };
        spawn("setsid", ["setsid", "sleep", "1000"], { env, stdio: "inherit" });
        process.on("SIGTERM", () => process.exit(0));
        ${SERVER}`,
    };
    const spec = await harness.spec(await harness.image(files), { command: ["node", "main.js"] });
    await harness.runtime.start(spec);
    const pid = Number(await fetchText(spec.port));
    await eventually(async () => (await markedProcesses(harness.clusterId)).length >= 5);
    process.kill(pid, "SIGKILL");
    await eventually(async () => (await markedProcesses(harness.clusterId)).length === 0);

    const again = await harness.spec(spec.image, { command: ["node", "main.js"] });
    await harness.runtime.start(again);
    await fetchText(again.port);
    await eventually(async () => (await markedProcesses(harness.clusterId)).length >= 5);
    await harness.runtime.stop(again.instanceId, { graceMs: 300 });
    expect(await markedProcesses(harness.clusterId)).toEqual([]);
  });

  it("counts a program as running while any of its threads runs, and as ended when none does", async () => {
    const harness = await makeHarness({ memoryLimit: "sampled" });
    const files = {
      "main.py": `
import ctypes, http.server, os, platform, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(open("/proc/%d/stat" % os.getpid(), "rb").read().split()[2])
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
threading.Thread(target=server.serve_forever).start()
exit_of_this_thread = 93 if platform.machine() == "aarch64" else 60
ctypes.CDLL(None).syscall(exit_of_this_thread, 0)
`,
    };
    const spec = await harness.spec(await harness.image(files), { command: ["python3", "main.py"] });
    await harness.runtime.start(spec);
    await eventually(async () => (await fetchText(spec.port)) === "Z");
    await harness.reopen();
    expect(await fetchText(spec.port)).toBe("Z");
    expect(await harness.runtime.list()).toMatchObject([{ state: "running" }]);
    const { memoryBytes } = (await harness.runtime.stats(spec.instanceId)) ?? { memoryBytes: 0 };
    expect(memoryBytes).toBeGreaterThan(2_000_000);
    await harness.runtime.stop(spec.instanceId, { graceMs: 300 });
    expect(await harness.runtime.list()).toMatchObject([{ state: "exited" }]);
    await expect(fetch(`http://127.0.0.1:${String(spec.port)}`)).rejects.toThrow();
  });

  it("holds a program to its memory also when its first thread has ended", async () => {
    const harness = await makeHarness({ memoryLimit: "sampled" });
    const files = {
      "main.py": `
import ctypes, platform, threading, time
def work():
    time.sleep(0.2)
    held = b"x" * 300_000_000
    time.sleep(1000)
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall(93 if platform.machine() == "aarch64" else 60, 0)
`,
    };
    const exit = await runToEnd(harness, files, { command: ["python3", "main.py"], memoryMb: 64 });
    expect(exit).toMatchObject({ cause: "memory" });
  });

  it("gives children of a stopped first process the rest of the grace", async () => {
    const harness = await makeHarness();
    const files = {
      "main.sh": "#!/bin/sh\ntrap 'exit 0' TERM\nnode server.js &\nwait\n",
      "server.js": `process.on("SIGTERM", () => setTimeout(() => { console.log("done"); process.exit(0); }, 200)); ${SERVER}`,
    };
    const spec = await harness.spec(await harness.image(files), { command: ["./main.sh"] });
    await harness.runtime.start(spec);
    await fetchText(spec.port);
    // It ends long before, also where nothing is quick.
    await harness.runtime.stop(spec.instanceId, { graceMs: 60_000 });
    expect(await textOf(harness.runtime, spec.instanceId)).toEqual(["done"]);
  });

  it.each([
    ["exit 0", /code 0 after \d/],
    ["exit 7", /code 7 after \d+\.\d s/],
    ["no-such-tool", /code 127.*command not found/],
  ])("explains the end of `%s`", async (script, message) => {
    const exit = await runToEnd(await makeHarness(), {}, { command: ["/bin/sh", "-c", script] });
    expect(exit.cause).toBe("exited");
    expect(exit.message).toMatch(message);
  });

  it("keeps the last 20 lines, cut and harmless", async () => {
    const script = String.raw`seq 30; printf '\033[31mred\033[0m \033]0;title\007\001x\377y\n'; head -c 2000 /dev/zero | tr '\0' a; exit 1`;
    const exit = await runToEnd(await makeHarness(), {}, { command: ["/bin/sh", "-c", script] });
    expect(exit.logTail).toHaveLength(20);
    expect(exit.logTail[0]).toBe("13");
    expect(exit.logTail[18]).toBe("red \uFFFDx\uFFFDy");
    expect(exit.logTail[19]).toBe("a".repeat(500));
  });

  async function withRunning(): Promise<{ runtime: ProcessRuntime; spec: InstanceSpec; pid: number }> {
    const harness = await makeHarness();
    const spec = await harness.spec(await harness.image({ "server.js": SERVER }));
    await harness.runtime.start(spec);
    return { runtime: harness.runtime, spec, pid: Number(await fetchText(spec.port)) };
  }
});

describe("process runtime: many at once", () => {
  it(
    "20 concurrent starts and stops leave no process, file, timer or file descriptor",
    { timeout: 300_000 },
    async () => {
      const harness = await makeHarness();
      const image = await harness.image({ "server.js": SERVER });
      const { runtime } = harness;
      // Made before anything is counted: each keeps its port for this process by a socket.
      const specsOf = (count: number): Promise<InstanceSpec[]> =>
        Promise.all(
          Array.from({ length: count }, () =>
            harness.spec(image, { command: ["/bin/sh", "-c", "sleep 1000 & exec sleep 1000"] }),
          ),
        );
      const rounds = [await specsOf(20), await specsOf(20)] as const;
      const round = async (specs: readonly InstanceSpec[]): Promise<void> => {
        await Promise.all(specs.map((spec) => runtime.start(spec)));
        expect((await runtime.list()).map(({ state }) => state)).toEqual(Array(20).fill("running"));
        await eventually(async () => (await markedProcesses(harness.clusterId)).length === 40);
        await Promise.all(specs.map(({ instanceId }) => runtime.stop(instanceId, { graceMs: 1_000 })));
        expect(await markedProcesses(harness.clusterId)).toEqual([]);
        await Promise.all(specs.map(({ instanceId }) => runtime.remove(instanceId)));
      };
      await round(rounds[0]);
      const before = (await readdir("/proc/self/fd")).length;
      await round(rounds[1]);
      await eventually(async () => (await readdir("/proc/self/fd")).length <= before);
      expect(await readdir(join(harness.dataDir, "instances"))).toEqual([]);
      if ((await runtime.capacity()).memoryLimit === "cgroup v1")
        expect((await readdir(await cgroupFolder(harness))).filter((name) => name.startsWith("i-"))).toEqual(
          [],
        );
    },
  );

  it("stopAll stops every instance", async () => {
    const harness = await makeHarness();
    const image = await harness.image({ "server.js": SERVER });
    const specs = await Promise.all([1, 2, 3].map(() => harness.spec(image)));
    for (const spec of specs) await harness.runtime.start(spec);
    await harness.runtime.stopAll({ graceMs: 2_000 });
    expect(await markedProcesses(harness.clusterId)).toEqual([]);
    expect((await harness.runtime.list()).map(({ exit }) => exit?.cause)).toEqual([
      "stopped",
      "stopped",
      "stopped",
    ]);
  });

  it("an abort ends the wait for a stop, not the stop", async () => {
    const harness = await makeHarness();
    const spec = await harness.spec(
      await harness.image({ "server.js": `process.on("SIGTERM", () => {});${SERVER}` }),
    );
    await harness.runtime.start(spec);
    const pid = Number(await fetchText(spec.port));
    // Long enough to look at what is there before the grace is over.
    const stop = harness.runtime.stop(spec.instanceId, { graceMs: 8_000, signal: AbortSignal.timeout(50) });
    await expect(stop).rejects.toMatchObject({ code: "DINP_ABORTED" });
    expect(isAlive(pid)).toBe(true);
    await eventually(() => !isAlive(pid));
  });

  it("fetches an image once for callers at the same time", async () => {
    const harness = await makeHarness();
    const image = await harness.makeImage({ "a.txt": "a" });
    const { runtime } = harness;
    await Promise.all([1, 2, 3].map(() => runtime.prepareImage(image)));
    await rm(join(harness.folder, "source"), { recursive: true });
    await runtime.prepareImage(image);
    expect(await readdir(join(harness.dataDir, "images"))).toEqual([image.digest.replace(":", "-")]);
    const gone = { ...image, digest: `sha256:${"1".repeat(64)}` };
    await expect(runtime.prepareImage(gone)).rejects.toMatchObject({ code: "DINP_IMAGE_NOT_FOUND" });
    expect((await readdir(join(harness.dataDir, "images"))).length).toBe(1);
  });
});

describe("process runtime: memory", () => {
  it.each(["auto", "sampled"] as const)("counts all processes of an instance (%s)", async (memoryLimit) => {
    const harness = await makeHarness({ memoryLimit });
    const files = {
      "main.js": `
        const { fork } = require("node:child_process");
        for (let i = 0; i < 3; i += 1) fork("worker.js").on("exit", () => process.exit(9));`,
      "worker.js": `
        const kept = [];
        const timer = setInterval(() => { kept.push(Buffer.alloc(4e6, 1)); if (kept.length === 25) clearInterval(timer); }, 10);
        setInterval(() => {}, 1000);`,
    };
    // No worker alone comes near the limit: 100 MB and Node itself each.
    const exit = await runToEnd(harness, files, { command: ["node", "main.js"], memoryMb: 250 });
    expect(exit).toMatchObject({ cause: "memory", message: "It used more than its 250 MB of memory." });
    // The end is told before the last killed process is gone.
    await eventually(async () => (await markedProcesses(harness.clusterId)).length === 0);
  });

  it("says how the limit is enforced", async () => {
    const sampled = await makeHarness({ memoryLimit: "sampled" });
    expect((await sampled.runtime.capacity()).memoryLimit).toBe("sampled every 500 ms");
    const auto = await makeHarness();
    expect((await auto.runtime.capacity()).memoryLimit).toMatch(/^(?:cgroup v[12]|sampled every 500 ms)$/);
  });
});

describe("process runtime: logs", () => {
  it("stay bounded, end with the newest line, and a follower sees whole lines in order", async () => {
    const harness = await makeHarness({ logLimits: { maxBytes: 200_000, keepBytes: 50_000 } });
    const files = {
      "main.js": `
        let n = 0;
        setInterval(() => { for (let i = 0; i < 50; i += 1) console.log("line " + (n += 1) + " " + "x".repeat(100)); }, 5);`,
    };
    const spec = await harness.spec(await harness.image(files), { command: ["node", "main.js"] });
    await harness.runtime.start(spec);
    const file = join(harness.instanceDir(spec.instanceId), "output.log");
    const seen: number[] = [];
    const abort = new AbortController();
    const following = (async () => {
      for await (const { text } of harness.runtime.logs(spec.instanceId, {
        follow: true,
        signal: abort.signal,
      }))
        seen.push(Number(/^line (\d+) x{100}$/.exec(text)?.[1] ?? Number.NaN));
    })();
    await eventually(() => existsSync(`${file}.1`));
    const trimmedAt = seen.length;
    await eventually(() => seen.length > trimmedAt + 2_000);
    await harness.runtime.stop(spec.instanceId, { graceMs: 1_000 });
    abort.abort();
    await following;
    // The moment of a cut may cost lines (and cut one); none comes twice or out of order.
    const numbers = seen.filter((number) => !Number.isNaN(number));
    expect(seen.length - numbers.length).toBeLessThan(10);
    expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0))).toBe(true);
    expect((await stat(`${file}.1`)).size).toBeLessThan(150_000);
    const tail = await textOf(harness.runtime, spec.instanceId, 3);
    expect(tail).toHaveLength(3);
    expect(tail.every((line) => /^line \d+ x{100}$/.test(line))).toBe(true);
  });

  it("hand on long lines in pieces and a last line without its end", async () => {
    const harness = await makeHarness();
    const script = "head -c 40000 /dev/zero | tr '\\0' b; printf '\\nüü'";
    const spec = await harness.spec(await harness.image({}), { command: ["/bin/sh", "-c", script] });
    await harness.runtime.start(spec);
    await untilExited(harness.runtime, spec.instanceId);
    const lines = await textOf(harness.runtime, spec.instanceId);
    expect(lines.map((line) => line.length)).toEqual([16_384, 16_384, 7_232, 2]);
    expect(lines.at(-1)).toBe("üü");
  });
});

describe("process runtime: programs and environment", () => {
  it("builds the environment from nothing, odd names too", async () => {
    const harness = await makeHarness();
    process.env["DINP_TEST_LEAK"] = "leaked";
    onTestFinished(() => {
      delete process.env["DINP_TEST_LEAK"];
    });
    const files = { "main.js": "console.log(JSON.stringify(process.env)); console.log(process.cwd());" };
    const spec = await harness.spec(await harness.image(files), {
      command: ["node", "main.js"],
      env: { "spring.name": "odd", DINP_RELEASE: "7", PATH: "/evil", TEXT: "a\nb 'c' $d" },
    });
    await harness.runtime.start(spec);
    await untilExited(harness.runtime, spec.instanceId);
    const [json = "", cwd = ""] = await textOf(harness.runtime, spec.instanceId);
    const env = JSON.parse(json) as Record<string, string>;
    expect(Object.keys(env).sort()).toEqual(
      [
        ...["DINP_APP", "DINP_CLUSTER", "DINP_INSTANCE_ID", "DINP_MEMORY_MB", "DINP_RELEASE"],
        ...["HOME", "LANG", "PATH", "PORT", "PWD", "TEXT", "TMPDIR", "spring.name"],
      ].sort(),
    );
    expect(env).toMatchObject({
      "spring.name": "odd",
      DINP_RELEASE: "7",
      DINP_MEMORY_MB: String(spec.memoryMb),
      TEXT: "a\nb 'c' $d",
      LANG: "C.UTF-8",
      PWD: cwd,
    });
    expect(env["PATH"]?.split(":")[0]).toBe(join(cwd, "node_modules/.bin"));
    expect((await stat(env["HOME"] ?? "")).isDirectory()).toBe(true);
  });

  it("names missing programs and interpreters", async () => {
    const harness = await makeHarness();
    const files = {
      "bad.sh": "#!/no/such/interpreter\n",
      "crlf.sh": "#!/bin/sh\r\necho hi\r\n",
      "env.sh": "#!/usr/bin/env nosuch9\n",
      "plain.txt": "text",
    };
    const messageOf = async (...command: string[]): Promise<string> => {
      const exit = await runToEnd(harness, files, { command });
      expect(exit.cause).toBe("start");
      return exit.message;
    };
    expect(await messageOf("nosuch9")).toContain('"nosuch9" was not found on this node');
    expect(await messageOf("./absent")).toContain('"./absent" was not found in the app');
    expect(await messageOf("./bad.sh")).toContain("/no/such/interpreter");
    expect(await messageOf("./crlf.sh")).toContain(String.raw`/bin/sh\r`);
    expect(await messageOf("./env.sh")).toContain("nosuch9");
    expect(await messageOf("./plain.txt")).toContain("not executable");
    expect(await messageOf("node", "a\0b")).toContain("NUL");
  });

  it.runIf(asRoot)("passes over a program that the app's user cannot reach", async () => {
    const closed = await mkdtemp("/tmp/dinp-closed-");
    const open = await mkdtemp("/tmp/dinp-open-");
    onTestFinished(async () => {
      await rm(closed, { recursive: true });
      await rm(open, { recursive: true });
    });
    await chmod(open, 0o755);
    for (const dir of [closed, open]) {
      await writeFile(join(dir, "tool"), `#!/bin/sh\necho from ${dir}\n`);
      await chmod(join(dir, "tool"), 0o755);
    }
    const both = await makeHarness({ searchPath: [closed, open, "/usr/bin", "/bin"] });
    expect((await runToEnd(both, {}, { command: ["tool"] })).logTail).toEqual([`from ${open}`]);
    const one = await makeHarness({ searchPath: [closed, "/usr/bin", "/bin"] });
    const exit = await runToEnd(one, {}, { command: ["tool"] });
    expect(exit.cause).toBe("start");
    expect(exit.message).toContain(`${closed} is closed`);
    const shell = await runToEnd(one, {}, { command: ["/bin/sh", "-c", "exec nosuch9"] });
    expect(shell.message).toContain("command not found");
  });

  it.runIf(asRoot)("copies a program of the platform, with its modules, out of a closed folder", async () => {
    const closed = await mkdtemp("/tmp/dinp-closed-");
    onTestFinished(() => rm(closed, { recursive: true }));
    await mkdir(join(closed, "bin"));
    await writeFile(
      join(closed, "bin/tool.js"),
      'import { word } from "../chunk.js";\nconsole.log(word, ...process.argv.slice(2));\n',
    );
    await writeFile(join(closed, "chunk.js"), 'export const word = "chunk";\n');
    const harness = await makeHarness({
      programs: { tool: [process.execPath, join(closed, "bin/tool.js")] },
    });
    const exit = await runToEnd(harness, {}, { command: ["tool", "."] });
    expect(exit.logTail).toEqual(["chunk ."]);
    expect((await harness.runtime.capacity()).programs).toEqual(expect.arrayContaining(["node", "tool"]));
  });

  it("refuses specs that no process can have", async () => {
    const { runtime } = await makeHarness();
    const image = { repository: "a", digest: `sha256:${"0".repeat(64)}` };
    const base = { appId: "a", appName: "a", releaseId: "r", image, command: [], env: {}, cpuMillis: 1 };
    for (const wrong of [
      { instanceId: "../x", port: 1, memoryMb: 1 },
      { instanceId: ".x", port: 1, memoryMb: 1 },
      { instanceId: "x", port: 70_000, memoryMb: 1 },
      { instanceId: "x", port: 1, memoryMb: Number.NaN },
    ])
      await expect(runtime.start({ ...base, ...wrong })).rejects.toMatchObject({ code: "DINP_INVALID" });
    expect(await runtime.list()).toEqual([]);
  });
});

describe.runIf(asRoot)("process runtime: users", () => {
  it("an app reads neither the platform's files nor another app's, and gains no rights", async () => {
    const harness = await makeHarness();
    const image = await harness.image({
      "server.js": SERVER,
      "look.js": `
        const fs = require("node:fs");
        const tries = JSON.parse(process.env.TRIES);
        const result = (work) => { try { work(); return "done"; } catch (error) { return error.code; } };
        for (const path of tries) console.log(result(() => fs.readFileSync(path)));
        for (const path of tries) console.log(result(() => fs.writeFileSync(path, "x")));
        console.log(result(() => fs.readdirSync(process.env.OTHER_HOME)));
        console.log(result(() => fs.readdirSync(process.env.INSTANCES)));
        console.log(result(() => fs.writeFileSync("new.txt", "x")));
        console.log(result(() => fs.writeFileSync("server.js", "x")));
        console.log(result(() => fs.writeFileSync(process.env.HOME + "/mine", "x")));
        console.log(result(() => fs.writeFileSync(process.env.TMPDIR + "/mine", "x")));
        console.log(result(() => process.kill(Number(process.env.OTHER_PID), 0)));
        console.log(fs.readFileSync("/proc/self/status", "utf8").match(/^(Uid|Gid|Groups|NoNewPrivs|CapEff|CapPrm):.*$/gm).join(";"));`,
    });
    const other = await harness.spec(image);
    await harness.runtime.start(other);
    const otherPid = await fetchText(other.port);
    const secret = join(harness.folder, "secret");
    await writeFile(secret, "secret", { mode: 0o600 });
    const tries = [
      secret,
      join(harness.dataDir, "runtime.json"),
      ...["spec.json", "process.json", "output.log"].map((name) =>
        join(harness.instanceDir(other.instanceId), name),
      ),
      `/proc/${otherPid}/environ`,
    ];
    const spec = await harness.spec(image, {
      command: ["node", "look.js"],
      env: {
        TRIES: JSON.stringify(tries),
        OTHER_HOME: join(harness.instanceDir(other.instanceId), "home"),
        INSTANCES: join(harness.dataDir, "instances"),
        OTHER_PID: otherPid,
      },
    });
    await harness.runtime.start(spec);
    await untilExited(harness.runtime, spec.instanceId);
    const lines = await textOf(harness.runtime, spec.instanceId);
    expect(lines.slice(0, tries.length * 2)).toEqual(Array(tries.length * 2).fill("EACCES"));
    expect(lines.slice(tries.length * 2, -1)).toEqual([
      "EACCES",
      "EACCES",
      "EACCES",
      "EACCES",
      "done",
      "done",
      "EPERM",
    ]);
    const uid = String(200_000 + spec.port);
    const none = "0000000000000000";
    const ids = Array(4).fill(uid).join("\t");
    expect(lines.at(-1)?.replaceAll(/\s+;/g, ";")).toBe(
      `Uid:\t${ids};Gid:\t${ids};Groups:;CapPrm:\t${none};CapEff:\t${none};NoNewPrivs:\t1`,
    );
  });

  it("processes that clear their environment and never stay the same end with their instance", async () => {
    const harness = await makeHarness();
    const limit = (await harness.runtime.capacity()).memoryLimit;
    // Without a cgroup nothing ties such a process to its instance.
    if (!limit.startsWith("cgroup")) return;
    const hop = "#!/bin/sh\ntrap '' TERM HUP\nsleep 0.02\nsetsid env -i /bin/sh \"$0\" &\n";
    const run =
      "#!/bin/sh\nfor i in 1 2 3 4; do setsid env -i /bin/sh ./hop.sh & done\nexec node server.js\n";
    const image = await harness.image({ "server.js": SERVER, "hop.sh": hop, "run.sh": run });
    for (let round = 0; round < 2; round += 1) {
      const spec = await harness.spec(image, { command: ["./run.sh"] });
      await harness.runtime.start(spec);
      await fetchText(spec.port);
      const uid = 200_000 + spec.port;
      await eventually(() => processesOf(uid).length >= 3);
      await harness.runtime.stop(spec.instanceId, { graceMs: 0 });
      await harness.runtime.remove(spec.instanceId);
      expect(processesOf(uid)).toEqual([]);
    }
  });

  it("a process that claims to be another app's is not taken for one of its processes", async () => {
    const harness = await makeHarness();
    const image = await harness.image({ "server.js": SERVER });
    const victim = await harness.spec(image);
    await harness.runtime.start(victim);
    await fetchText(victim.port);
    const liar = await harness.spec(image, {
      command: ["/bin/sh", "-c", `DINP_INSTANCE_ID=${victim.instanceId} sleep 1000 & wait`],
    });
    await harness.runtime.start(liar);
    await eventually(async () => (await markedProcesses(harness.clusterId, victim.instanceId)).length === 2);
    expect((await harness.runtime.stats(victim.instanceId))?.processes).toBe(1);
    await harness.runtime.stop(victim.instanceId, { graceMs: 0 });
    expect((await harness.runtime.stats(liar.instanceId))?.processes).toBe(2);
    await harness.runtime.stop(liar.instanceId, { graceMs: 0 });
    expect(await markedProcesses(harness.clusterId)).toEqual([]);
  });

  it("nothing in an app's environment acts before the user is changed", async () => {
    const harness = await makeHarness();
    // A library that is asked for and not there makes the loader complain: only after the user was set.
    const spec = await harness.spec(await harness.image({}), {
      command: ["/usr/bin/id", "-u"],
      env: { LD_PRELOAD: "/tmp/no-such-library.so", BASH_ENV: "/no", ENV: "/no" },
    });
    await harness.runtime.start(spec);
    await untilExited(harness.runtime, spec.instanceId);
    expect((await textOf(harness.runtime, spec.instanceId)).at(-1)).toBe(String(200_000 + spec.port));
  });

  it("refuses a data folder that apps could not reach", async () => {
    const closed = await mkdtemp("/tmp/dinp-closed-");
    onTestFinished(() => rm(closed, { recursive: true }));
    const { createProcessRuntime } = await import("@dinp/core/process");
    const { createSystemClock } = await import("@dinp/core/system");
    const runtime = createProcessRuntime({
      dataDir: join(closed, "node"),
      clusterId: "c",
      unpack: () => Promise.resolve(),
      clock: createSystemClock(),
    });
    await expect(runtime.open()).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      details: { folder: closed },
    });
    await runtime.close();
  });
});

async function cgroupFolder(harness: ProcessHarness): Promise<string> {
  const text = await readFile("/proc/self/cgroup", "utf8");
  const own = /^\d+:memory:(.*)$/m.exec(text)?.[1] ?? "/";
  for (const parent of ["/sys/fs/cgroup/memory", join("/sys/fs/cgroup/memory", own)])
    for (const name of await readdir(parent))
      if (name.startsWith(`dinp-${harness.clusterId}-`)) return join(parent, name);
  throw new Error("The runtime has no cgroup.");
}
