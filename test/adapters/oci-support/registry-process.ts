import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killPids, readProcess, startProcess } from "../../../scripts/lib/services/owned-process.mjs";
import { freePort } from "../../../scripts/lib/services/ports.mjs";
import {
  prepareRegistry,
  registryAnswers,
  registryUrl,
  type RegistrySettings,
} from "../../../scripts/lib/services/registry-server.mjs";
import { freeze } from "../support/freeze.js";

const NAME = "docker-registry";

/** A real registry of a test's own, that can be killed, stopped and started again on its data. */
export class RegistryProcess {
  readonly folder: string;
  readonly #settings: RegistrySettings;
  readonly #command: [string, ...string[]];

  private constructor(folder: string, settings: RegistrySettings) {
    this.folder = folder;
    this.#settings = settings;
    this.#command = prepareRegistry(folder, settings);
  }

  static async start(settings: Omit<RegistrySettings, "port"> = {}): Promise<RegistryProcess> {
    const folder = await mkdtemp(join(tmpdir(), "dinp-registry-"));
    const registry = new RegistryProcess(folder, { ...settings, port: await freePort() });
    await registry.restart();
    return registry;
  }

  get port(): number {
    return this.#settings.port;
  }

  get url(): string {
    return registryUrl(this.#settings);
  }

  /** Where a blob or manifest lies on its disk. */
  blobPath(digest: string): string {
    const hex = digest.replace("sha256:", "");
    return join(this.folder, "storage/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
  }

  /** Starts it again; resolves when it answers. */
  async restart(): Promise<void> {
    await startProcess(this.folder, NAME, this.#command, (signal) => registryAnswers(this.#settings, signal));
  }

  /** SIGKILL; resolves when it has ended. */
  async kill(): Promise<void> {
    const identity = readProcess(this.folder, NAME);
    if (identity !== null) await killPids([identity.pid]);
  }

  async pause(): Promise<void> {
    await freeze(readProcess(this.folder, NAME)?.pid ?? 0);
  }

  resume(): void {
    process.kill(readProcess(this.folder, NAME)?.pid ?? 0, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
