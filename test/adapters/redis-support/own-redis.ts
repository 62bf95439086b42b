import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import {
  type Identity,
  isAlive,
  killStrays,
  startProcess,
} from "../../../scripts/lib/services/owned-process.mjs";
import { freePort } from "../../../scripts/lib/services/ports.mjs";
import { prepareRedis, redisAnswers, redisUrl } from "../../../scripts/lib/services/redis-server.mjs";
import { eventually } from "./eventually.js";

export type ConfigLines = readonly (readonly [string, string])[];

export interface OwnRedisOptions {
  readonly mode?: "server" | "sentinel";
  readonly lines?: ConfigLines;
}

/** A Redis of a test's own, which it may kill, pause and start again. Its data are gone with each end unless `lines` keep them. */
export class OwnRedis {
  readonly folder: string;
  readonly port: number;
  readonly #options: OwnRedisOptions;
  #process: Identity | null = null;

  private constructor(folder: string, port: number, options: OwnRedisOptions) {
    this.folder = folder;
    this.port = port;
    this.#options = options;
  }

  static async start(options: OwnRedisOptions = {}): Promise<OwnRedis> {
    const folder = await mkdtemp(join(tmpdir(), "dinp-redis-"));
    const server = new OwnRedis(folder, await freePort(), options);
    await server.start();
    return server;
  }

  get url(): string {
    return redisUrl({ port: this.port });
  }

  get address(): { readonly host: string; readonly port: number } {
    return { host: "127.0.0.1", port: this.port };
  }

  async start(): Promise<void> {
    const settings = { port: this.port, ...this.#options };
    const command = prepareRedis(this.folder, settings);
    this.#process = await startProcess(this.folder, "redis", command, (signal) =>
      redisAnswers(settings, signal),
    );
  }

  /** As a power cut does: nothing is saved. */
  async kill(): Promise<void> {
    const identity = this.#process;
    if (identity === null) return;
    process.kill(identity.pid, "SIGKILL");
    await eventually(async () => !isAlive(identity) && (await this.#isRefusing()));
    this.#process = null;
  }

  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  /** Asks it something by a connection of its own. */
  async command(...words: readonly [string, ...string[]]): Promise<unknown> {
    const client = new Redis({ ...this.address, lazyConnect: true, retryStrategy: () => null });
    client.on("error", () => undefined);
    try {
      await client.connect();
      return await client.call(...words);
    } finally {
      client.disconnect();
    }
  }

  async dispose(): Promise<void> {
    if (this.#process !== null && isAlive(this.#process)) await this.kill();
    await killStrays(this.folder);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A process whose first thread has ended can still hold its port. */
  async #isRefusing(): Promise<boolean> {
    return redisAnswers({ port: this.port }, AbortSignal.timeout(1_000)).then(
      () => false,
      (error: unknown) => error instanceof Error && "code" in error && error.code === "ECONNREFUSED",
    );
  }

  #signal(name: NodeJS.Signals): void {
    if (this.#process === null) throw new TypeError("This Redis does not run.");
    process.kill(this.#process.pid, name);
  }
}
