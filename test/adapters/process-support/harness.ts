import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DinpError, type ImageRef, type InstanceSpec } from "@dinp/core";
import type { RuntimeHarness } from "@dinp/core/testing";
import {
  createProcessRuntime,
  type ProcessRuntime,
  type ProcessRuntimeOptions,
  type UnpackImage,
} from "@dinp/core/process";
import { createSystemClock } from "@dinp/core/system";
import { freePort } from "../../../scripts/lib/services/ports.mjs";

export { freePort };

export type RuntimeSettings = Partial<
  Pick<ProcessRuntimeOptions, "memoryLimit" | "programs" | "searchPath" | "logLimits" | "uidBase">
>;

/** A process runtime over a temporary folder, with images that are folders of text files. */
export class ProcessHarness implements RuntimeHarness {
  readonly folder: string;
  readonly clusterId: string;
  readonly hostAddress = "127.0.0.1";
  readonly #settings: RuntimeSettings;
  readonly #sourceDir: string;
  #runtime: ProcessRuntime;
  #foreign: ProcessHarness | null = null;

  private constructor(folder: string, settings: RuntimeSettings, sourceDir = join(folder, "source")) {
    this.folder = folder;
    this.#sourceDir = sourceDir;
    this.clusterId = `test-${folder.slice(-6)}`;
    this.#settings = settings;
    this.#runtime = this.newRuntime();
  }

  static async make(settings: RuntimeSettings = {}, sourceDir?: string): Promise<ProcessHarness> {
    const folder = await mkdtemp("/tmp/dinp-process-");
    await chmod(folder, 0o711);
    const harness = new ProcessHarness(folder, settings, sourceDir);
    await harness.runtime.open();
    return harness;
  }

  get runtime(): ProcessRuntime {
    return this.#runtime;
  }

  get dataDir(): string {
    return join(this.folder, "node");
  }

  instanceDir(instanceId: string): string {
    return join(this.dataDir, "instances", instanceId);
  }

  newRuntime(): ProcessRuntime {
    return createProcessRuntime({
      dataDir: join(this.folder, "node"),
      clusterId: this.clusterId,
      unpack: unpackFrom(this.#sourceDir),
      clock: createSystemClock(),
      ...this.#settings,
    });
  }

  unopened(): ProcessRuntime {
    return this.newRuntime();
  }

  async damage({ digest }: ImageRef): Promise<void> {
    await appendFile(join(this.#sourceDir, digest), " ");
  }

  async foreign(): Promise<ProcessRuntime> {
    this.#foreign = await ProcessHarness.make(this.#settings, this.#sourceDir);
    return this.#foreign.runtime;
  }

  /** Takes the records of instances away. */
  async outage(): Promise<() => Promise<void>> {
    const there = join(this.dataDir, "instances");
    const away = join(this.dataDir, "away");
    await rename(there, away);
    return async () => {
      await rm(there, { recursive: true, force: true });
      await rename(away, there);
    };
  }

  async reopen(): Promise<ProcessRuntime> {
    await this.#runtime.close();
    this.#runtime = this.newRuntime();
    await this.#runtime.open();
    return this.#runtime;
  }

  async makeImage(files: Readonly<Record<string, string>>): Promise<ImageRef> {
    const text = JSON.stringify(files);
    const digest = digestOf(text);
    await mkdir(this.#sourceDir, { recursive: true });
    await writeFile(join(this.#sourceDir, digest), text);
    return { repository: "apps/test", digest };
  }

  /** An image that is ready to start. */
  async image(files: Readonly<Record<string, string>>): Promise<ImageRef> {
    const image = await this.makeImage(files);
    await this.#runtime.prepareImage(image);
    return image;
  }

  async spec(image: ImageRef, parts: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
    return {
      instanceId: `i-${String(nextNumber())}`,
      appId: "app-1",
      appName: "hello",
      releaseId: "release-1",
      image,
      command: ["node", "server.js"],
      env: {},
      memoryMb: 256,
      cpuMillis: 100,
      port: await this.freePort(),
      ...parts,
    };
  }

  freePort(): Promise<number> {
    return freePort();
  }

  async dispose(): Promise<void> {
    await this.#foreign?.dispose();
    await this.#runtime.close();
    const last = this.newRuntime();
    await last.open();
    for (const { instanceId } of await last.list()) await last.remove(instanceId);
    await last.close();
    const left = await markedProcesses(this.clusterId);
    await rm(this.folder, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`Processes are left: ${left.join(", ")}`);
  }
}

/** Unpacks `{path: text}` from the file named by the digest; a text that begins with `#!` is executable. */
export function unpackFrom(sourceDir: string): UnpackImage {
  return async (image, targetDir) => {
    const json = await readFile(join(sourceDir, image.digest), "utf8").catch(() => null);
    if (json === null) throw new DinpError("DINP_IMAGE_NOT_FOUND", `There is no image ${image.digest}.`);
    if (digestOf(json) !== image.digest)
      throw new DinpError("DINP_DIGEST_MISMATCH", `What came is not the image ${image.digest}.`);
    for (const [path, text] of Object.entries(JSON.parse(json) as Record<string, string>)) {
      const file = join(targetDir, "app", path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      await chmod(file, text.startsWith("#!") ? 0o755 : 0o644);
    }
  };
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/** Pids of living processes that carry the mark of a cluster (and of an instance). */
export async function markedProcesses(clusterId: string, instanceId?: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).map(Number).filter(Number.isInteger)) {
    const environ = await readFile(`/proc/${String(pid)}/environ`, "latin1").catch(() => "");
    const variables = environ.split("\0");
    if (!variables.includes(`DINP_CLUSTER=${clusterId}`)) continue;
    if (instanceId !== undefined && !variables.includes(`DINP_INSTANCE_ID=${instanceId}`)) continue;
    if (isAlive(pid)) found.push(pid);
  }
  return found;
}

/** True for a process that is not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !/^State:\s+[ZX]/m.test(readStatus(pid));
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/status`, "latin1");
  } catch {
    return "State: X";
  }
}

export async function eventually(
  condition: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > until)
      throw new Error(`Not so within ${String(withinMs)} ms: ${condition.toString()}`);
    await delay(10);
  }
}

/** The text at a path of an instance, as soon as it answers. */
export async function fetchText(port: number, path = "/"): Promise<string> {
  let text = "";
  await eventually(async () => {
    const response = await fetch(`http://127.0.0.1:${String(port)}${path}`).catch(() => null);
    if (response === null) return false;
    text = await response.text();
    return true;
  });
  return text;
}

let count = 0;
function nextNumber(): number {
  count += 1;
  return count;
}
