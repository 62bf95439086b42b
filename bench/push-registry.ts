// npm run bench:push-registry [-- --rounds N] [--check]
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImageRef } from "@dinp/core";
import { roundsOf, runAgain } from "./lib/again.js";
import { median, runBench, type Recorder } from "./lib/bench.js";
import { measureCost, type Measured } from "./lib/cost.js";
import { makeSourceTree, packTree, type SourceTree } from "./push/source-tree.js";
import { treeDifferences } from "./push/tree-differences.js";
import { Docker, makeContext, makeNodeRoot, type DockerBuilder } from "./push-registry/docker.js";
import { buildIntoRegistry, type Compression } from "./push-registry/work.js";

const MB = 1e6;
const compressions: readonly Compression[] = ["none", "gzip"];
const builders: readonly DockerBuilder[] = ["classic", "BuildKit"];

const argv = process.argv.slice(2);
const [role = "", archive = "", registry = ""] = argv;

if (role === "none" || role === "gzip") {
  process.stdout.write(JSON.stringify(await measureCost(() => buildIntoRegistry(archive, registry, role))));
} else {
  const missing = ["DINP_TEST_DOCKER_SOCKET", "DINP_TEST_DOCKER_CLIENT", "DINP_TEST_REGISTRY"].filter(
    (name) => variable(name) === "",
  );
  if (missing.length > 0) leaveOut(missing);
  else await bench();
}

function variable(name: string): string {
  return process.env[name] ?? "";
}

function leaveOut(missing: readonly string[]): void {
  console.error(
    `Left out: push-registry needs docker and registry: scripts/services up (not set: ${missing.join(", ")})`,
  );
  if (argv.includes("--check")) process.exitCode = 1;
}

async function bench(): Promise<void> {
  await runBench(
    {
      name: "push-registry",
      title:
        "A 50 MB .tar.gz built into a registry, against docker build and docker push of the same on the same base",
      goals: {
        "faster than docker, layer uncompressed": { atLeast: 8 },
        "faster than docker, layer gzip": { atLeast: 3 },
        "memory, layer uncompressed": { atMost: 150 },
        "memory, layer gzip": { atMost: 150 },
        files: { atLeast: 5_000 },
        "differences in Docker, layer uncompressed": { atMost: 0 },
        "differences in Docker, layer gzip": { atMost: 0 },
      },
      run,
    },
    argv,
  );
}

/** One build of the platform's: how long its process ran, and what its work in it cost. */
interface Built extends Measured<ImageRef> {
  readonly processMs: number;
}

async function run(recorder: Recorder): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dinp-bench-push-registry-"));
  const docker = new Docker(variable("DINP_TEST_DOCKER_CLIENT"), variable("DINP_TEST_DOCKER_SOCKET"));
  const url = `${variable("DINP_TEST_REGISTRY")}/b${randomBytes(6).toString("hex")}`;
  const images: string[] = [];
  try {
    const source = makeSourceTree(folder, "node_modules");
    const megabytes = (bytes: number): string => (bytes / MB).toFixed(1);
    recorder.note(
      `a ${megabytes(source.archiveBytes)} MB archive of ${String(source.files)} files, ${megabytes(source.bytes)} MB unpacked`,
    );
    recorder.note("docker: wall time of docker build + docker push, the faster of its two builders");
    recorder.note(
      "faster: by that over the wall time of a fresh process that builds and pushes, in turns; median",
    );
    recorder.measure("files", source.files, "files");
    measureRounds(recorder, { folder, docker, url, source, images });
  } finally {
    docker.remove(images);
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Scene {
  readonly folder: string;
  readonly docker: Docker;
  readonly url: string;
  readonly source: SourceTree;
  /** What Docker has to let go of again. */
  readonly images: string[];
}

function measureRounds(recorder: Recorder, scene: Scene): void {
  const { folder, docker, url, source, images } = scene;
  const place = url.replace(/^https?:\/\//, "");
  const base = `${place}/bases/node:v1`;
  images.push(base);
  docker.importAndPush(makeNodeRoot(folder), base);
  const dockerMs: Record<DockerBuilder, number[]> = { classic: [], BuildKit: [] };
  const dockerBuildMs: Record<DockerBuilder, number[]> = { classic: [], BuildKit: [] };
  const built: Record<Compression, Built[]> = { none: [], gzip: [] };
  for (let round = 0; round < roundsOf(argv, 3); round += 1) {
    for (const builder of builders) {
      // Docker sends no layer twice: each is a new one.
      renew(source);
      const name = `${place}/docker/${builder.toLowerCase()}:r${String(round)}`;
      images.push(name);
      const context = makeContext(join(folder, "context"), source.archive, base);
      const { buildMs, pushMs } = docker.buildAndPush(builder, context, name);
      dockerMs[builder].push(buildMs + pushMs);
      dockerBuildMs[builder].push(buildMs);
    }
    for (const compression of compressions) built[compression].push(child(compression, source.archive, url));
  }
  const best = builders.toSorted((a, b) => median(dockerMs[a]) - median(dockerMs[b]))[0] ?? "classic";
  for (const builder of builders) {
    recorder.measure(`docker, ${builder}`, median(dockerMs[builder]), "ms");
    recorder.measure(`of which docker build, ${builder}`, median(dockerBuildMs[builder]), "ms");
  }
  for (const compression of compressions) {
    const name = compression === "none" ? "layer uncompressed" : "layer gzip";
    const all = built[compression];
    const ratios = all.map(({ processMs }, round) => (dockerMs[best][round] ?? NaN) / processMs);
    recorder.measure(`faster than docker, ${name}`, median(ratios), "x");
    recorder.measure(`process, ${name}`, median(all.map(({ processMs }) => processMs)), "ms");
    recorder.measure(`build and push in it, ${name}`, median(all.map(({ cost }) => cost.wallMs)), "ms");
    recorder.measure(`processor time, ${name}`, median(all.map(({ cost }) => cost.cpuMs)), "ms");
    const growth = Math.max(...all.map(({ cost }) => cost.peakBytes - cost.startBytes));
    recorder.measure(`memory, ${name}`, growth / MB, "MB");
    const image = all.at(-1)?.value;
    if (image !== undefined)
      recordDifferences(recorder, scene, name, `${place}/${image.repository}@${image.digest}`);
  }
}

function recordDifferences(recorder: Recorder, scene: Scene, name: string, image: string): void {
  scene.images.push(image);
  const into = join(scene.folder, "pulled");
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into);
  const found = treeDifferences(scene.source.dir, scene.docker.pullAndUnpack(image, into));
  for (const line of found.slice(0, 10)) recorder.note(`${name}: ${line}`);
  recorder.measure(`differences in Docker, ${name}`, found.length, "paths");
}

/** The same application, with one file that is new. */
function renew({ dir, archive: file }: SourceTree): void {
  writeFileSync(join(dir, "version.txt"), randomBytes(16).toString("hex"));
  rmSync(file);
  packTree(dir, file);
}

/** One build in a fresh process, and how long that lived. */
function child(...words: readonly string[]): Built {
  const started = performance.now();
  const measured: Measured<ImageRef> = JSON.parse(runAgain(...words));
  return { ...measured, processMs: performance.now() - started };
}
