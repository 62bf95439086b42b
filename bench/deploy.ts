// npm run bench:deploy [-- --rounds N] [--check]
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../scripts/lib/services/ports.mjs";
import { engineAlone } from "./deploy/engine-alone.js";
import { BenchPlatform, firstAnswer } from "./deploy/platform.js";
import { bareEnvironment } from "./lib/environment.js";
import { roundsOf } from "./lib/again.js";
import { median, runBench, type Recorder } from "./lib/bench.js";
import { Docker, makeNodeRoot, type DockerBuilder } from "./push-registry/docker.js";

const APP_BYTES = 5_000_000;
const FILES = 400;
const SCRIPT_MS_MAX = 120_000;
const builders: readonly DockerBuilder[] = ["classic", "BuildKit"];
const argv = process.argv.slice(2);

const wanted = ["DINP_TEST_DOCKER_SOCKET", "DINP_TEST_DOCKER_CLIENT", "DINP_TEST_REGISTRY"];
const missing = wanted.filter((name) => variable(name) === "");
if (missing.length > 0) {
  console.error(
    `Left out: deploy needs docker and registry: scripts/services up (not set: ${missing.join(", ")})`,
  );
  if (argv.includes("--check")) process.exitCode = 1;
} else {
  await runBench(
    {
      name: "deploy",
      title:
        "dinp push of a 5 MB Node app on Docker, from the command to the first answer, against docker build, push and run",
      goals: { "time over docker's": { atMost: 0.5 } },
      run,
    },
    argv,
  );
}

async function run(recorder: Recorder): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dinp-bench-deploy-"));
  const docker = new Docker(variable("DINP_TEST_DOCKER_CLIENT"), variable("DINP_TEST_DOCKER_SOCKET"));
  const place = `${variable("DINP_TEST_REGISTRY").replace(/^https?:\/\//, "")}/d${randomBytes(6).toString("hex")}`;
  const base = `${place}/node:v1`;
  const images = [base];
  const platform = await BenchPlatform.start(
    folder,
    variable("DINP_TEST_DOCKER_SOCKET"),
    await freePort(),
    await freePort(),
  );
  try {
    docker.importAndPush(makeNodeRoot(folder), base);
    recorder.note("each round is a new app whose files were never seen; bases are cached; in turns; median");
    recorder.note("docker: the faster of its two builders; asked every 10 ms from the end of its script");
    recorder.note(
      "the engine alone: an archive that is ready is loaded, a container created, started and asked",
    );
    await platform.push(makeApp(folder, "warm", "FROM scratch"), "warm");
    const times: Record<"dinp" | "engine" | DockerBuilder, number[]> = {
      ...{ dinp: [], engine: [], classic: [], BuildKit: [] },
    };
    for (let round = 0; round < roundsOf(argv, 5); round += 1) {
      const app = `app-${String(round)}`;
      times.dinp.push(await platform.push(makeApp(folder, app, null), app));
      await platform.delete(app);
      for (const builder of builders) {
        const name = `${place}/${builder.toLowerCase()}:r${String(round)}`;
        images.push(name);
        const source = makeApp(folder, `${builder}-${String(round)}`, `FROM ${base}`);
        times[builder].push(await buildPushRun(builder, source, name));
      }
      const ready = `${place}/ready:r${String(round)}`;
      images.push(ready);
      const source = makeApp(folder, `ready-${String(round)}`, `FROM ${base}`);
      const archive = docker.archiveOf(source, ready, join(folder, "ready"));
      const socket = variable("DINP_TEST_DOCKER_SOCKET");
      times.engine.push(await engineAlone(socket, archive, ready, await freePort()));
    }
    const best = builders.toSorted((a, b) => median(times[a]) - median(times[b]))[0] ?? "classic";
    const overDocker = (arm: "dinp" | "engine"): number =>
      median(times[arm].map((ms, round) => ms / (times[best][round] ?? NaN)));
    recorder.measure("time over docker's", overDocker("dinp"), "x");
    recorder.measure("time of the engine alone over docker's", overDocker("engine"), "x");
    recorder.measure("dinp push to the first answer", median(times.dinp), "ms");
    recorder.measure("the engine alone, to the first answer", median(times.engine), "ms");
    for (const builder of builders)
      recorder.measure(`docker build, push and run, ${builder}`, median(times[builder]), "ms");
  } finally {
    await platform.delete("warm").catch(() => undefined);
    await platform.stop();
    docker.remove(images);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A folder with a server and 5 MB of files that nothing has cached; with a Dockerfile's first line, also that. */
function makeApp(folder: string, name: string, from: string | null): string {
  const source = join(folder, "apps", name.toLowerCase());
  mkdirSync(join(source, "node_modules/data"), { recursive: true });
  writeFileSync(
    join(source, "server.js"),
    'require("node:http").createServer((request, response) => response.end("here")).listen(process.env.PORT, "0.0.0.0");\n',
  );
  for (let file = 0; file < FILES; file += 1) {
    // Half of it compresses, as code does.
    const half = randomBytes(APP_BYTES / FILES / 2).toString("latin1");
    writeFileSync(
      join(source, `node_modules/data/${String(file)}.js`),
      half + "x".repeat(half.length),
      "latin1",
    );
  }
  if (from !== null) {
    const lines = [from, "COPY . /app", "WORKDIR /app", 'CMD ["/usr/local/bin/node", "server.js"]', ""];
    writeFileSync(join(source, "Dockerfile"), lines.join("\n"));
  }
  return source;
}

/** Milliseconds that a script of a person's takes: build, push, run, and ask until there is an answer. */
async function buildPushRun(builder: DockerBuilder, source: string, image: string): Promise<number> {
  const port = String(await freePort());
  const container = `dinp-bench-${randomBytes(6).toString("hex")}`;
  const script = `set -e
docker build --quiet --tag "$IMAGE" "$SOURCE"
docker push --quiet "$IMAGE"
docker run --detach --name "$NAME" --env PORT=8080 --publish "127.0.0.1:$PORT:8080" "$IMAGE"`;
  const client = variable("DINP_TEST_DOCKER_CLIENT");
  const env = bareEnvironment({
    ...{ IMAGE: image, SOURCE: source, NAME: container, PORT: port },
    DOCKER_HOST: `unix://${variable("DINP_TEST_DOCKER_SOCKET")}`,
    DOCKER_BUILDKIT: builder === "BuildKit" ? "1" : "0",
  });
  const started = performance.now();
  const child = spawn("/bin/sh", ["-c", script.replaceAll(/^docker/gm, client)], {
    env,
    stdio: ["ignore", "ignore", "inherit"],
    timeout: SCRIPT_MS_MAX,
  });
  try {
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    if (code !== 0) throw new Error(`docker build, push and run ended with ${String(code)}.`);
    // Not before: what docker's proxy takes before the container has its network, it answers half a second later.
    await firstAnswer(`http://127.0.0.1:${port}`, "localhost", () => false);
    return performance.now() - started;
  } finally {
    const remove = spawn(client, ["rm", "--force", container], { env, stdio: "ignore" });
    await new Promise((resolve) => remove.once("close", resolve));
  }
}

function variable(name: string): string {
  return process.env[name] ?? "";
}
