import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  databaseSettings,
  makeDatabase,
  removeDatabase,
  startDatabase,
  stopDatabase,
  type DatabaseServer,
} from "../../../scripts/lib/services/database-service.mjs";
import { isAlive, killPids, readProcess } from "../../../scripts/lib/services/owned-process.mjs";
import { freeze } from "../support/freeze.js";

/** A real database server of a test's own, that can be killed, stopped and started again on its data. */
export class DatabaseProcess {
  readonly folder: string;
  readonly #server: DatabaseServer;

  private constructor(server: DatabaseServer, folder: string) {
    this.#server = server;
    this.folder = folder;
  }

  /** @param prepare Is given the path where its data will be. */
  static async start(
    server: DatabaseServer,
    prepare: (data: string) => Promise<unknown> = () => Promise.resolve(),
  ): Promise<DatabaseProcess> {
    const folder = await mkdtemp(join(tmpdir(), `dinp-${server.name}-`));
    await prepare(server.dataOf(folder));
    await makeDatabase(server, folder);
    return new DatabaseProcess(server, folder);
  }

  get port(): number {
    return databaseSettings(this.folder).port;
  }

  /** Of its administrator. */
  get url(): string {
    return this.#server.url(databaseSettings(this.folder));
  }

  /** Starts it again; resolves when it answers. */
  restart(): Promise<void> {
    return startDatabase(this.#server, this.folder);
  }

  get isRunning(): boolean {
    const identity = readProcess(this.folder, this.#server.name);
    return identity !== null && isAlive(identity);
  }

  /** Ends it in order, if it runs. */
  stop(): Promise<void> {
    return stopDatabase(this.#server, this.folder);
  }

  /** SIGKILL; resolves when it has ended. */
  async kill(): Promise<void> {
    await killPids([this.#pid]);
  }

  /** SIGSTOP, for it and all that it has started. */
  async pause(): Promise<void> {
    // The server first: it starts no others then.
    await freeze(this.#pid);
    await Promise.all((await childrenOf(this.#pid)).map(freezeIfThere));
  }

  async resume(): Promise<void> {
    for (const pid of [...(await childrenOf(this.#pid)), this.#pid]) process.kill(pid, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeDatabase(this.#server, this.folder);
  }

  get #pid(): number {
    const identity = readProcess(this.folder, this.#server.name);
    if (identity === null) throw new Error(`The ${this.#server.name} server was not started.`);
    return identity.pid;
  }
}

/** PostgreSQL has a process for each connection. */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${String(pid)}/task/${String(pid)}/children`, "utf8");
  return text.trim().split(" ").filter(Boolean).map(Number);
}

async function freezeIfThere(pid: number): Promise<void> {
  try {
    await freeze(pid);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && ["ESRCH", "ENOENT"].includes(String(error.code))))
      throw error;
  }
}
