import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createBuilder,
  readImage,
  type BaseSource,
  type Builder,
  type BuilderOptions,
  type BuildResult,
  type ImageRef,
  type InstallSteps,
  type Registry,
} from "@dinp/core";
import { createDockerStepRunner, loadImages, type DockerStepRunner } from "@dinp/core/docker";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeTarGz, stream, type TestEntry } from "../build/support.js";
import { describeWithServices } from "../support/services.js";
import { EngineClient } from "./docker-support/engine-client.js";
import { putLayers } from "./docker-support/images.js";
import { pythonLayer } from "./docker-support/python-layer.js";
import { until } from "./support/until.js";
import { makeZip } from "./support/make-zip.js";

const WHEEL = "greet-1.0-py3-none-any.whl";
const app: TestEntry = { name: "main.py", content: "import greet; print(greet.hello(), end='')" };

function wheel(): Buffer {
  const info = "greet-1.0.dist-info";
  return makeZip([
    { name: "greet.py", content: "def hello(): return 'hello from pip'\n" },
    { name: `${info}/METADATA`, content: "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n" },
    { name: `${info}/WHEEL`, content: "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n" },
    { name: `${info}/RECORD`, content: "" },
  ]);
}

/** A package whose own code runs when it is installed. */
function hostile(code: string): readonly TestEntry[] {
  const project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n';
  const backend = `${code}\ndef build_wheel(folder, settings=None, metadata=None): raise SystemExit(7)\n`;
  return [
    { name: "evil/pyproject.toml", content: project },
    { name: "evil/backend.py", content: backend },
    { name: "pip_requirements.txt", content: "./evil\n" },
    app,
  ];
}

describeWithServices(
  ["docker"],
  "pip_requirements.txt on a Docker engine",
  ({ DINP_TEST_DOCKER_SOCKET: socket }) => {
    const client = new EngineClient(socket);
    const cluster = `test-${randomBytes(4).toString("hex")}`;
    let folder: string;
    let registry: Registry;
    let base: ImageRef;
    let runner: DockerStepRunner;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "dinp-pip-"));
      registry = createOciLayoutRegistry({ dir: join(folder, "registry") });
      base = await putLayers(registry, "bases/python", [await pythonLayer()]);
      runner = runnerIn(cluster);
    }, 300_000);
    afterAll(async () => {
      await runner.close();
      expect(await client.containers(`io.dinp.cluster=${cluster}-build`)).toEqual([]);
      await client.removeCluster(`${cluster}-build`);
      await rm(folder, { recursive: true, force: true });
    });

    function runnerIn(clusterId: string, network?: string): DockerStepRunner {
      return createDockerStepRunner({
        engine: { socketPath: socket },
        clusterId,
        images: loadImages(registry),
        ...(network === undefined ? {} : { network }),
      });
    }

    function builderWith(
      steps: Partial<InstallSteps> | null = {},
      more: Partial<BuilderOptions> = {},
    ): Builder {
      const bases: BaseSource = {
        find: () => Promise.resolve(base),
        names: () => Promise.resolve(["python"]),
      };
      return createBuilder({
        bases,
        registry,
        archive: createTarArchive(),
        hasher: createNodeHasher(),
        clock: createSystemClock(),
        parseYaml,
        ...(steps === null ? {} : { steps: { runner, pipIndexUrl: null, ...steps } }),
        ...more,
      });
    }

    async function build(
      builder: Builder,
      files: readonly TestEntry[],
      log: string[] = [],
    ): Promise<BuildResult> {
      const bytes = stream(await makeTarGz(files));
      return builder.build({ repository: "apps/greeter", bytes, log: (line) => log.push(line) });
    }

    /** What the app says when it is run out of its image, as an instance is. */
    async function outputOf({ image, command, manifest }: BuildResult): Promise<string> {
      const chunks: Uint8Array[] = [];
      const shell = [
        "python3",
        "-c",
        "import os, sys; os.chdir('/app'); os.execvp(sys.argv[1], sys.argv[1:])",
      ];
      const step = {
        image,
        command: [...shell, ...command],
        env: { ...manifest?.env },
        input: stream(new Uint8Array()),
      };
      for await (const chunk of runner.run(step, { log: () => undefined })) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    }

    it("installs what the app brings along, in a layer below its own", async () => {
      const log: string[] = [];
      const files = [
        app,
        { name: `wheels/${WHEEL}`, content: wheel() },
        { name: "pip_requirements.txt", content: `./wheels/${WHEEL}\n` },
      ];
      const built = await build(builderWith(), files, log);
      expect(log.join("\n")).toContain("installing: pip_requirements.txt, from what the app brings along");
      expect(log.join("\n")).toMatch(/Successfully installed greet-1\.0/);
      expect(built).toMatchObject({ template: "python", manifest: { env: { PYTHONPATH: ".pip" } } });
      const { layers, diffIds, env } = await readImage(registry, built.image, {});
      expect([layers.length, diffIds.length]).toEqual([3, 3]);
      expect(env).toContain("PYTHONPATH=.pip");
      expect(await outputOf(built)).toBe("hello from pip");
      const again = await build(builderWith(), files);
      expect(again.image.digest).toBe(built.image.digest);
      const small = await build(builderWith({}, { compressor: createGzipCompressor() }), files);
      expect((await readImage(registry, small.image, {})).diffIds).toEqual(diffIds);
      expect(await outputOf(small)).toBe("hello from pip");
    }, 300_000);

    it("installs from the operator's index, over the operator's network, and from nowhere else", async () => {
      const asked: string[] = [];
      const server = createServer((request, answer) => {
        asked.push(request.url ?? "");
        answer.setHeader("content-type", "text/html");
        if (request.url === "/simple/greet/") answer.end(`<a href="/files/${WHEEL}">${WHEEL}</a>`);
        else if (request.url === `/files/${WHEEL}`) answer.end(wheel());
        else answer.writeHead(404).end();
      });
      const host = await client.hostAddress();
      await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
      const address = server.address();
      const port = String(typeof address === "object" ? address?.port : 0);
      const pipIndexUrl = `http://${host}:${port}/simple/`;
      const files = [app, { name: "pip_requirements.txt", content: "greet==1.0\n" }];
      const open = runnerIn(`${cluster}-open`, "bridge");
      try {
        const built = await build(builderWith({ runner: open, pipIndexUrl }), files);
        expect(await outputOf(built)).toBe("hello from pip");
        expect(asked).toContain("/simple/greet/");
        const before = asked.length;
        await expect(build(builderWith({ pipIndexUrl }), files)).rejects.toMatchObject({
          code: "DINP_INVALID",
        });
        const log: string[] = [];
        await expect(build(builderWith(), files, log)).rejects.toMatchObject({
          code: "DINP_INVALID",
          details: { exitCode: 1 },
        });
        expect(log.join("\n")).toContain("No matching distribution found for greet==1.0");
        expect(asked.length).toBe(before);
      } finally {
        await open.close();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    }, 180_000);

    it("refuses what a package's own code makes of it", async () => {
      const says = "import os, sys; print('UID', os.getuid(), sorted(os.environ), file=sys.stderr)";
      const log: string[] = [];
      const failed = build(builderWith(), hostile(says), log);
      await expect(failed).rejects.toMatchObject({ code: "DINP_INVALID" });
      const shown = log.find((line) => line.includes("UID"));
      expect(shown).toContain("UID 65532");
      expect(shown).not.toMatch(/DINP|TOKEN|SECRET|DOCKER/);
      const writes = "import os; os.symlink('/etc/passwd', '/work/out/link'); os._exit(0)";
      await expect(build(builderWith(), hostile(writes))).rejects.toMatchObject({
        code: expect.stringMatching(/DINP_INVALID|DINP_ARCHIVE_REFUSED/),
      });
      const forged = "import os; os.write(os.open('/proc/1/fd/1', os.O_WRONLY), b'x' * 100000); os._exit(0)";
      await expect(build(builderWith(), hostile(forged))).rejects.toMatchObject({
        code: expect.stringMatching(/DINP_INVALID|DINP_ARCHIVE_REFUSED/),
      });
      const left = () => client.containers(`io.dinp.cluster=${cluster}-build`);
      await until(async () => (await left()).length === 0, "the end of all steps");
    }, 300_000);

    it("takes no words of an upload for words of the command", async () => {
      const odd = ["--platform=x", "; touch /work/x", "$(id)", "-r /etc/passwd", "--index-url file:///etc"];
      for (const content of odd) {
        const log: string[] = [];
        const files = [app, { name: "pip_requirements.txt", content: `${content}\n` }];
        const outcome = await build(builderWith(), files, log).then(
          () => "built",
          (error: unknown) => error,
        );
        if (outcome !== "built") expect(outcome, content).toMatchObject({ code: "DINP_INVALID" });
        expect(log.join("\n")).not.toContain("uid=");
      }
    }, 300_000);

    it("needs a base, and leaves requirements alone where nothing is run, or no Python is", async () => {
      const files = [app, { name: "pip_requirements.txt", content: "greet==1.0\n" }];
      const bases: BaseSource = { find: () => Promise.resolve(null), names: () => Promise.resolve([]) };
      await expect(build(builderWith({}, { bases }), files)).rejects.toMatchObject({
        code: "DINP_INVALID",
        message: expect.stringMatching(/needs a base image with Python and pip/),
      });
      const log: string[] = [];
      expect(await build(builderWith(null), files, log)).toMatchObject({ manifest: null });
      expect(log.join("\n")).toContain("pip_requirements.txt is not installed");
      const site = [
        { name: "index.html", content: "hi" },
        { name: "pip_requirements.txt", content: "greet" },
      ];
      expect(await build(builderWith({}, { bases }), site)).toMatchObject({ manifest: null });
    });
  },
);
