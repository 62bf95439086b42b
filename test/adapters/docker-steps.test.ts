import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DinpError, type ByteStream, type DinpErrorCode, type ImageRef, type Registry } from "@dinp/core";
import {
  createDockerStepRunner,
  loadImages,
  type DockerStepLimits,
  type DockerStepRunner,
} from "@dinp/core/docker";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithServices } from "../support/services.js";
import { EngineClient } from "./docker-support/engine-client.js";
import { putLayers } from "./docker-support/images.js";
import { pythonLayer } from "./docker-support/python-layer.js";
import { pieces } from "./oci-support/images.js";
import { until } from "./support/until.js";

const none: ByteStream = pieces(new Uint8Array());

describeWithServices(
  ["docker"],
  "steps of builds on a Docker engine",
  ({ DINP_TEST_DOCKER_SOCKET: socket }) => {
    const client = new EngineClient(socket);
    const clusters: string[] = [];
    let folder: string;
    let registry: Registry;
    let image: ImageRef;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "dinp-steps-"));
      registry = createOciLayoutRegistry({ dir: join(folder, "registry") });
      image = await putLayers(registry, "bases/python", [await pythonLayer()]);
    }, 300_000);
    afterAll(async () => {
      for (const id of clusters) await client.removeCluster(`${id}-build`);
      await rm(folder, { recursive: true, force: true });
    });

    function newCluster(): string {
      const id = `test-${randomBytes(4).toString("hex")}`;
      clusters.push(id);
      return id;
    }

    function runnerOf(clusterId: string, limits: Partial<DockerStepLimits> = {}): DockerStepRunner {
      return createDockerStepRunner({
        engine: { socketPath: socket },
        clusterId,
        images: loadImages(registry),
        limits,
      });
    }

    /** What is left of a cluster's on the engine. */
    async function leftOf(clusterId: string): Promise<readonly string[]> {
      const containers = await client.containers(`io.dinp.cluster=${clusterId}-build`);
      const images = (await client.ask("GET", "/images/json")) as readonly {
        readonly RepoTags: string[] | null;
      }[];
      const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []);
      return [
        ...containers.map(({ Id }) => Id),
        ...tags.filter((tag) => tag.startsWith(`dinp-${clusterId}-build/`)),
      ];
    }

    async function python(
      runner: DockerStepRunner,
      code: string,
      options: { readonly input?: ByteStream; readonly signal?: AbortSignal; readonly log?: string[] } = {},
    ): Promise<string> {
      const { input = none, log = [], signal } = options;
      const step = { image, command: ["python3", "-c", code], env: { A: "$(b) 'c'\n" }, input };
      const chunks: Uint8Array[] = [];
      const output = runner.run(step, {
        log: (line) => log.push(line),
        ...(signal === undefined ? {} : { signal }),
      });
      for await (const chunk of output) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    }

    it("gives what a program writes, takes what it reads, and leaves nothing behind", async () => {
      const cluster = newCluster();
      const runner = runnerOf(cluster);
      const log: string[] = [];
      const input = pieces(randomBytes(3_000_000));
      const code =
        "import os, sys; print('one\\ntwo', file=sys.stderr); print(len(sys.stdin.buffer.read()), os.environ['A'], end='')";
      expect(await python(runner, code, { input, log })).toBe("3000000 $(b) 'c'\n");
      expect(log).toEqual(["one", "two"]);
      expect(await client.containers(`io.dinp.cluster=${cluster}-build`)).toEqual([]);
      await runner.close();
      expect(await leftOf(cluster)).toEqual([]);
    }, 300_000);

    it("runs it as nobody, without rights, network, or a place to write but its own", async () => {
      const runner = runnerOf(newCluster());
      const code = `
import os, socket
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(os.getuid(), status["CapEff"], status["CapBnd"], status["NoNewPrivs"], [name for _, name in socket.if_nameindex()])
for path in ["/x", "/usr/x", "/work/x", "/proc/sys/kernel/x"]:
    try:
        open(path, "w").close()
        print(path)
    except OSError:
        pass
try:
    socket.create_connection(("169.254.169.254", 80), 1)
    print("reached")
except OSError:
    pass
`;
      const zeros = "0".repeat(16);
      expect(await python(runner, code)).toBe(`65532 ${zeros} ${zeros} 1 ['lo']\n/work/x\n`);
      await runner.close();
    }, 300_000);

    it.each([
      ["ends badly", "import sys; sys.exit(3)", {}, "DINP_INVALID", /ended with code 3/],
      [
        "forks without end",
        "import os\nwhile True:\n try: os.fork()\n except OSError: pass",
        { timeMs: 4_000 },
        "DINP_TIMEOUT",
        /longer than 4 s/,
      ],
      ["hangs", "import time; time.sleep(1000)", { timeMs: 2_000 }, "DINP_TIMEOUT", /longer than 2 s/],
      [
        "hears no signal",
        "import signal, time\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except OSError: pass\ntime.sleep(1000)",
        { timeMs: 3_000 },
        "DINP_TIMEOUT",
        /longer than 3 s/,
      ],
      [
        "fills the disk",
        "f = open('/work/x', 'wb')\nwhile True: f.write(bytes(1000000))",
        { diskMb: 32 },
        "DINP_TOO_LARGE",
        /more than 32 MiB of disk/,
      ],
      [
        "fills the other disk",
        "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(1000000))",
        {},
        "DINP_TOO_LARGE",
        /of disk/,
      ],
      [
        "eats memory",
        "x = [bytearray(b'x' * 10000000) for _ in range(1000)]",
        { memoryMb: 64, diskMb: 16 },
        "DINP_TOO_LARGE",
        /more than 64 MiB of memory/,
      ],
      [
        "writes a log of 5 GB",
        "import sys\nfor _ in range(5000): sys.stderr.write('x' * 999999 + '\\n')",
        { logBytesMax: 1_000_000 },
        "DINP_TOO_LARGE",
        /wrote a log of more than 1000000 bytes/,
      ],
      [
        "writes a line without an end",
        "import sys\nwhile True: sys.stderr.write('x' * 999999)",
        { logBytesMax: 5_000_000 },
        "DINP_TOO_LARGE",
        /wrote a log/,
      ],
      [
        "writes without an end",
        "import sys\nwhile True: sys.stdout.write('x' * 999999)",
        { outputBytesMax: 5_000_000 },
        "DINP_TOO_LARGE",
        /made files of more than 4 MiB/,
      ],
    ] satisfies readonly (readonly [string, string, Partial<DockerStepLimits>, DinpErrorCode, RegExp])[])(
      "ends one that %s, with a reason, a bounded log and nothing left",
      async (_what, code, limits, expected, message) => {
        const cluster = newCluster();
        const runner = runnerOf(cluster, limits);
        const log: string[] = [];
        // The image is there before the step's time begins.
        expect(await python(runnerOf(cluster), "print(1)")).toBe("1\n");
        await expect(python(runner, code, { log })).rejects.toMatchObject({
          code: expected,
          message: expect.stringMatching(message),
        });
        expect(log.join("\n").length).toBeLessThan(1_100_000);
        expect(await client.containers(`io.dinp.cluster=${cluster}-build`)).toEqual([]);
        await runner.close();
        expect(await leftOf(cluster)).toEqual([]);
      },
      60_000,
    );

    it("bounds processes", async () => {
      const runner = runnerOf(newCluster(), { pidsMax: 20 });
      const code = `
import os, time
made = 0
for _ in range(200):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
    except OSError:
        pass
print(made < 20)
`;
      expect(await python(runner, code)).toBe("True\n");
      await runner.close();
    }, 300_000);

    it("ends with its signal, its reader, its input's failure, and the runner", async () => {
      const cluster = newCluster();
      const runner = runnerOf(cluster);
      expect(await python(runner, "print(1)")).toBe("1\n");
      const hang = "import sys, time; print(1, flush=True); time.sleep(1000)";
      const stop = new AbortController();
      const aborted = python(runner, hang, { signal: stop.signal });
      aborted.catch(() => undefined);
      await until(
        async () => (await client.containers(`io.dinp.cluster=${cluster}-build`)).length === 1,
        "it",
      );
      stop.abort();
      await expect(aborted).rejects.toMatchObject({ code: "DINP_ABORTED" });
      const step = { image, command: ["python3", "-c", hang], env: {}, input: none };
      for await (const chunk of runner.run(step, { log: () => undefined })) {
        expect(Buffer.from(chunk).toString()).toBe("1\n");
        break;
      }
      expect(await client.containers(`io.dinp.cluster=${cluster}-build`)).toEqual([]);
      const broken: ByteStream = (async function* () {
        yield await Promise.resolve(new Uint8Array(10));
        throw new DinpError("DINP_CORRUPT", "The input is damaged.");
      })();
      const read = "import sys; sys.exit(len(sys.stdin.buffer.read()))";
      await expect(python(runner, read, { input: broken })).rejects.toMatchObject({ code: "DINP_CORRUPT" });
      const closed = python(runner, hang);
      closed.catch(() => undefined);
      await until(
        async () => (await client.containers(`io.dinp.cluster=${cluster}-build`)).length === 1,
        "it",
      );
      await runner.close();
      await expect(closed).rejects.toMatchObject({ code: "DINP_CLOSED" });
      expect(await leftOf(cluster)).toEqual([]);
      await expect(python(runner, hang)).rejects.toMatchObject({ code: "DINP_CLOSED" });
    }, 300_000);

    it("says what is missing: the program, the image, the engine", async () => {
      const runner = runnerOf(newCluster());
      const step = { image, command: ["ruby", "x"], env: {}, input: none };
      const run = async (one: typeof step, by = runner): Promise<void> => {
        for await (const chunk of by.run(one, { log: () => undefined })) expect(chunk).toBeNull();
      };
      await expect(run(step)).rejects.toMatchObject({ code: "DINP_INVALID", message: /no program ruby/ });
      const gone = { ...step, image: { repository: "bases/gone", digest: `sha256:${"0".repeat(64)}` } };
      await expect(run(gone)).rejects.toMatchObject({ code: "DINP_IMAGE_NOT_FOUND" });
      const away = createDockerStepRunner({
        engine: { socketPath: join(folder, "none.sock") },
        clusterId: newCluster(),
        images: loadImages(registry),
      });
      await expect(run(step, away)).rejects.toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
      await away.close();
      await runner.close();
    }, 300_000);

    it("removes what a killed platform left, and nothing of another's", async () => {
      const [cluster, other] = [newCluster(), newCluster()];
      const neighbour = runnerOf(other);
      const stop = new AbortController();
      const theirs = python(neighbour, "import time; time.sleep(1000)", { signal: stop.signal });
      theirs.catch(() => undefined);
      const program = `
import { createDockerStepRunner, loadImages } from ${JSON.stringify(new URL("../../dist/adapters/docker/index.js", import.meta.url).href)};
import { createOciLayoutRegistry } from ${JSON.stringify(new URL("../../dist/adapters/oci-layout/index.js", import.meta.url).href)};
const registry = createOciLayoutRegistry({ dir: ${JSON.stringify(join(folder, "registry"))} });
const runner = createDockerStepRunner({ engine: { socketPath: ${JSON.stringify(socket)} }, clusterId: ${JSON.stringify(cluster)}, images: loadImages(registry) });
const step = { image: ${JSON.stringify({ repository: image.repository, digest: image.digest })}, command: ["python3", "-c", "import time; time.sleep(1000)"], env: {}, input: (async function* () {})() };
for await (const chunk of runner.run(step, { log() {} })) chunk;
`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: "inherit" });
      try {
        const running = async (id: string): Promise<boolean> =>
          (await client.containers(`io.dinp.cluster=${id}-build`)).some(({ State }) => State === "running");
        await until(async () => (await running(cluster)) && (await running(other)), "both steps", 60_000);
        child.kill("SIGKILL");
        const runner = runnerOf(cluster);
        await runner.open();
        expect(await leftOf(cluster)).toEqual([]);
        expect(await running(other)).toBe(true);
        await runner.close();
      } finally {
        child.kill("SIGKILL");
        stop.abort();
        await neighbour.close();
      }
      expect(await leftOf(other)).toEqual([]);
    }, 300_000);
  },
);
