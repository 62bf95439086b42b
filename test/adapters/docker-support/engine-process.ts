import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { engineCommand } from "../../../scripts/lib/services/docker-engine.mjs";
import { endLostStarts } from "../../../scripts/lib/services/docker-lost-starts.mjs";
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
import type { OwnNetwork } from "./own-network.js";

const execute = promisify(execFile);
const NAME = "dockerd";
const SERVICE = fileURLToPath(new URL("engine-service.mjs", import.meta.url));

/** A Docker engine of a test's own, that can be killed, stopped and started again on its data. */
export class EngineProcess {
  readonly folder: string;
  readonly client: EngineClient;

  readonly #network: OwnNetwork | undefined;

  private constructor(folder: string, socket: string, network: OwnNetwork | undefined) {
    this.folder = folder;
    this.client = new EngineClient(socket);
    this.#network = network;
  }

  /** In a network of its own it has firewall rules; else it may be without, beside others. */
  static async start(network?: OwnNetwork): Promise<EngineProcess> {
    const folder = await mkdtemp(join(tmpdir(), "dinp-engine-"));
    await serve("start", folder, network);
    const { DINP_TEST_DOCKER_SOCKET: socket = "" } = dockerService.environment(folder);
    return new EngineProcess(folder, socket, network);
  }

  get socket(): string {
    return this.client.socket;
  }

  /** Says what the next start is to do with containers that run. */
  setLiveRestore(isOn: boolean): Promise<void> {
    return this.configure({ "live-restore": isOn });
  }

  /** Sets values of its configuration for the next start. */
  async configure(values: Readonly<Record<string, unknown>>): Promise<void> {
    const path = join(this.folder, "engine.json");
    const config = JSON.parse(await readFile(path, "utf8")) as Readonly<Record<string, unknown>>;
    await writeFile(path, JSON.stringify({ ...config, ...values }));
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

  /** Starts it again, without the starts that it lost when it was killed; resolves when it answers. */
  async restart(): Promise<void> {
    // It refuses to start while a process has the number of the one that was killed, be it its remains or another's.
    const config = JSON.parse(await readFile(join(this.folder, "engine.json"), "utf8")) as {
      readonly pidfile: string;
      readonly "cgroup-parent": string;
      readonly "data-root": string;
    };
    await rm(config.pidfile, { force: true });
    await endLostStarts({
      run: dirname(config.pidfile),
      cgroup: config["cgroup-parent"].slice(1),
      data: config["data-root"],
    });
    const [command = "", ...args]: readonly string[] = [
      ...(this.#network?.entry ?? []),
      ...engineCommand(join(this.folder, "engine.json")),
    ];
    await startProcess(this.folder, NAME, [command, ...args], async () => {
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
    await serve("stop", this.folder, this.#network);
  }

  /** 0 when it does not run. */
  get pid(): number {
    return readProcess(this.folder, NAME)?.pid ?? 0;
  }
}

async function serve(
  command: "start" | "stop",
  folder: string,
  network: OwnNetwork | undefined,
): Promise<void> {
  if (network === undefined) return dockerService[command](folder);
  const [enter, ...more] = network.entry;
  await execute(enter, [...more, process.execPath, SERVICE, command, folder]);
}
