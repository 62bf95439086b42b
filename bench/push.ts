// npm run bench:push [-- --rounds N] [--check]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImageRef } from "@dinp/core";
import { roundsOf, runAgain } from "./lib/again.js";
import { median, runBench, type Recorder } from "./lib/bench.js";
import { type Cost, measureCost, type Measured } from "./lib/cost.js";
import { differences } from "./push/compare.js";
import { makeSourceTree, type SourceTree } from "./push/source-tree.js";
import { buildImage, unpackAndHash } from "./push/work.js";

const MB = 1e6;
const compressions = ["none", "gzip"] as const;
type Compression = (typeof compressions)[number];

const argv = process.argv.slice(2);
const [role = "", archive = "", registryDir = ""] = argv;

if (role === "limit") {
  print(await measureCost(() => unpackAndHash(archive)));
} else if (role === "none" || role === "gzip") {
  print(await measureCost(() => buildImage(archive, registryDir, role)));
} else {
  await runBench(
    {
      name: "push",
      title:
        "Building an image of a 50 MB .tar.gz into the registry on disk, against gunzip and sha256 of both forms in-process",
      goals: {
        "time, layer uncompressed": { atMost: 1.5 },
        "time, layer gzip": { atMost: 6 },
        "memory, layer uncompressed": { atMost: 150 },
        "memory, layer gzip": { atMost: 150 },
        files: { atLeast: 5_000 },
        "differences, layer uncompressed": { atMost: 0 },
        "differences, layer gzip": { atMost: 0 },
      },
      run,
    },
    argv,
  );
}

async function run(recorder: Recorder): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dinp-bench-push-"));
  try {
    const source = makeSourceTree(folder, "node_modules");
    const megabytes = (bytes: number): string => (bytes / MB).toFixed(1);
    recorder.note(
      `a ${megabytes(source.archiveBytes)} MB archive of ${String(source.files)} files, ${megabytes(source.bytes)} MB unpacked`,
    );
    recorder.note(
      "time: wall time of the build over that of the limit, each in a fresh process, in turns; median",
    );
    recorder.note("memory: peak of the building process's resident memory over what it had just before");
    recorder.measure("files", source.files, "files");
    await measureBuilds(recorder, source, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureBuilds(recorder: Recorder, source: SourceTree, folder: string): Promise<void> {
  const limits: Cost[] = [];
  const builds: Record<Compression, Cost[]> = { none: [], gzip: [] };
  const images: Record<Compression, ImageRef | null> = { none: null, gzip: null };
  for (let round = 0; round < roundsOf(argv, 5); round += 1) {
    const limit: Measured<unknown> = JSON.parse(runAgain("limit", source.archive));
    limits.push(limit.cost);
    for (const compression of compressions) {
      const dir = join(folder, compression);
      rmSync(dir, { recursive: true, force: true });
      const build: Measured<ImageRef> = JSON.parse(runAgain(compression, source.archive, dir));
      builds[compression].push(build.cost);
      images[compression] = build.value;
    }
  }
  const limitMs = median(limits.map(({ wallMs }) => wallMs));
  recorder.measure("limit, wall time", limitMs, "ms");
  recorder.measure("limit, processor time", median(limits.map(({ cpuMs }) => cpuMs)), "ms");
  for (const compression of compressions) {
    const name = compression === "none" ? "layer uncompressed" : "layer gzip";
    recordCosts(recorder, name, builds[compression], limits);
    const image = images[compression];
    if (image === null) continue;
    const found = await differences(
      source.dir,
      join(folder, compression),
      image,
      join(folder, `${compression}-back`),
    );
    for (const line of found.slice(0, 10)) recorder.note(`${name}: ${line}`);
    recorder.measure(`differences, ${name}`, found.length, "paths");
  }
}

function recordCosts(
  recorder: Recorder,
  name: string,
  costs: readonly Cost[],
  limits: readonly Cost[],
): void {
  const ratio = (key: "wallMs" | "cpuMs"): number =>
    median(costs.map((cost, round) => cost[key] / (limits[round]?.[key] ?? NaN)));
  recorder.measure(`time, ${name}`, ratio("wallMs"), "x");
  recorder.measure(`processor time, ${name}`, ratio("cpuMs"), "x");
  recorder.measure(`wall time, ${name}`, median(costs.map(({ wallMs }) => wallMs)), "ms");
  const growth = Math.max(...costs.map(({ startBytes, peakBytes }) => peakBytes - startBytes));
  recorder.measure(`memory, ${name}`, growth / MB, "MB");
  recorder.measure(
    `process at its peak, ${name}`,
    Math.max(...costs.map((cost) => cost.peakBytes)) / MB,
    "MB",
  );
}

function print(value: unknown): void {
  process.stdout.write(JSON.stringify(value));
}
