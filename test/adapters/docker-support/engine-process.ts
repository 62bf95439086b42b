import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dockerService } from "../../../scripts/lib/services/docker.mjs";
import {
  isAlive,
  killPids,
  readProcess,
  startProcess,
} from "../../../scripts/lib/services/owned-process.mjs";
import { eventually } from "../process-support/harness.js";
import { freeze } from "../support/freeze.js";
import { EngineClient } from "./engine-client.js";

const NAME = "dockerd";

/** A Docker engine of a test's own, that can be killed, stopped and started again on its data. */
export class EngineProcess {
  readonly folder: string;
  readonly client: EngineClient;

  private constructor(folder: string, socket: string) {
    this.folder = folder;
    this.client = new EngineClient(socket);
  }

  static async start(): Promise<EngineProcess> {
    const folder = await mkdtemp(join(tmpdir(), "dinp-engine-"));
    await dockerService.start(folder);
    const { DINP_TEST_DOCKER_SOCKET: socket = "" } = dockerService.environment(folder);
    return new EngineProcess(folder, socket);
  }

  get socket(): string {
    return this.client.socket;
  }

  /** Says what the next start is to do with containers that run. */
  async setLiveRestore(isOn: boolean): Promise<void> {
    const path = join(this.folder, "engine.json");
    const config = JSON.parse(await readFile(path, "utf8")) as Readonly<Record<string, unknown>>;
    await writeFile(path, JSON.stringify({ ...config, "live-restore": isOn }));
  }

  /** SIGKILL; resolves when it has ended. Its containers go on. */
  async kill(): Promise<void> {
    await killPids([this.pid]);
  }

  /** SIGTERM; resolves when it has ended, with its containers unless they are to live on. */
  async terminate(): Promise<void> {
    const identity = readProcess(this.folder, NAME);
    if (identity === null) return;
    process.kill(identity.pid, "SIGTERM");
    await eventually(() => !isAlive(identity), 60_000);
  }

  /** Starts it again; resolves when it answers. */
  async restart(): Promise<void> {
    // It refuses to start while a process has the number of the one that was killed, be it its remains or another's.
    const config = JSON.parse(await readFile(join(this.folder, "engine.json"), "utf8")) as {
      readonly pidfile: string;
    };
    await rm(config.pidfile, { force: true });
    const command = ["/usr/sbin/dockerd", "--config-file", join(this.folder, "engine.json")] as const;
    await startProcess(this.folder, NAME, [...command], async () => {
      await this.client.ask("GET", "/info");
      return true;
    });
  }

  async pause(): Promise<void> {
    await freeze(this.pid);
  }

  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  async dispose(): Promise<void> {
    await dockerService.stop(this.folder);
  }

  /** 0 when it does not run. */
  get pid(): number {
    return readProcess(this.folder, NAME)?.pid ?? 0;
  }
}
