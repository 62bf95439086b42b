import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OwnRedis } from "../adapters/redis-support/own-redis.js";
import { DatabaseProcess } from "../adapters/sql-support/database-process.js";
import { postgresServer } from "../../scripts/lib/services/postgres-server.mjs";
import { removeCgroups } from "../../scripts/lib/services/docker-traces.mjs";
import { ClusterProgram } from "./cluster-program.js";
import { cgroupNames } from "./cluster-traces.js";
import {
  type CommandResult,
  eventually,
  freePort,
  processesWith,
  projectRoot,
  runProgram,
  temporaryFolder,
} from "./harness.js";

export interface ServerProgram extends ClusterProgram {
  readonly apiUrl: string;
  readonly linkUrl: string;
  /** Of `/metrics`. */
  readonly observeUrl: string;
}

export interface InstanceProcess {
  readonly pid: number;
  readonly instance: string;
}

interface NodeList {
  readonly items: readonly { readonly id: string; readonly connected: boolean | null }[];
}

interface Started {
  readonly folder: Awaited<ReturnType<typeof temporaryFolder>>;
  readonly database: DatabaseProcess;
  readonly redis: OwnRedis;
}

/** Bounds that are short enough for tests, and long enough for a busy machine. */
export const LEASE_MS = 10_000;
export const LOST_AFTER_MS = 20_000;

/**
 * A cluster of real programs over a PostgreSQL and a Redis of its own, which may be killed and paused, and a registry that
 * others use as well. Its nodes run plain processes.
 */
export class TestCluster {
  readonly id: string;
  readonly #started: Started;
  readonly #env: NodeJS.ProcessEnv;
  readonly #config: string;
  readonly #programs: ClusterProgram[] = [];
  readonly #servers: ServerProgram[] = [];
  /** Of Node, for the programs that are made from now on. */
  nodeFlags: readonly string[] = [];

  private constructor(id: string, started: Started, env: NodeJS.ProcessEnv, config: string) {
    this.id = id;
    this.#started = started;
    this.#env = env;
    this.#config = config;
  }

  static async start(registryUrl: string): Promise<TestCluster> {
    const folder = await temporaryFolder();
    const id = `t${String(process.pid)}-${String(await freePort())}`;
    const database = await DatabaseProcess.start(postgresServer);
    const redis = await OwnRedis.start({ lines: [["appendonly", "yes"]] });
    const config = join(folder.path, "dinp.yaml");
    await writeFile(
      config,
      JSON.stringify({
        cluster: { id, appsDomain: "apps.test" },
        store: { url: database.url },
        table: { url: redis.url },
        registry: { url: registryUrl, plainHttp: "true" },
        log: { level: "debug", format: "json" },
      }),
    );
    const env = { ...process.env, XDG_CONFIG_HOME: join(folder.path, "config"), NO_COLOR: "1" };
    return new TestCluster(id, { folder, database, redis }, env, config);
  }

  get folder(): string {
    return this.#started.folder.path;
  }

  get database(): DatabaseProcess {
    return this.#started.database;
  }

  get redis(): OwnRedis {
    return this.#started.redis;
  }

  /** A server with a folder and ports of its own, the same at each start. */
  async server(name: string, ...more: readonly string[]): Promise<ServerProgram> {
    const [api, link, observe] = [await freePort(), await freePort(), await freePort()];
    const flags = [
      ...["--id", name, "--data-dir", join(this.folder, name)],
      ...["--listen", `127.0.0.1:${String(api)}`, "--link-listen", `127.0.0.1:${String(link)}`],
      ...["--observe-listen", `127.0.0.1:${String(observe)}`],
      ...["--lease-ttl", `${String(LEASE_MS)}ms`, "--lost-after", `${String(LOST_AFTER_MS)}ms`],
      ...more,
    ];
    const server = Object.assign(this.#program(name, "dinp-server", flags), {
      apiUrl: `http://127.0.0.1:${String(api)}`,
      linkUrl: `http://127.0.0.1:${String(link)}`,
      observeUrl: `http://127.0.0.1:${String(observe)}`,
    });
    this.#servers.push(server);
    await server.start(/answers at/);
    return server;
  }

  /** Logs the cluster's user in by the token that the first server has made. */
  async login(server: ServerProgram): Promise<void> {
    const token = await readFile(join(this.folder, server.name, "admin-token"), "utf8");
    await this.ok(server, ["login"], token);
  }

  /** A node with a folder and ports of its own. `TestCluster.login` comes before it. */
  agent(name: string, ports: string, ...more: readonly string[]): Promise<ClusterProgram> {
    return this.agentIn([], name, ports, ...more);
  }

  /** As {@link TestCluster.agent}; `entry`: what its command begins with. */
  async agentIn(
    entry: readonly string[],
    name: string,
    ports: string,
    ...more: readonly string[]
  ): Promise<ClusterProgram> {
    const [first] = this.#servers;
    if (first === undefined) throw new Error("a server comes first");
    const token = (await this.ok(first, ["nodes", "join-token"])).stdout.trim();
    const flags = [
      ...["--id", name, "--address", "127.0.0.1", "--runtime", "process", "--ports", ports],
      ...["--servers", this.#servers.map(({ linkUrl }) => linkUrl).join(","), "--plaintext", "true"],
      ...["--data-dir", join(this.folder, name), "--join-token", token],
      ...more,
    ];
    const agent = this.#program(name, "dinp-agent", flags, entry);
    await agent.start(/runs instances/);
    await this.connected(first, name);
    return agent;
  }

  /** Resolves when a node's agent is connected to the leading server. */
  async connected(server: ServerProgram, node: string, timeoutMs = 120_000): Promise<void> {
    const isConnected = async (): Promise<boolean> => {
      const { items } = await this.json<NodeList>(server, "nodes");
      return items.some(({ id, connected }) => id === node && connected === true);
    };
    await eventually(`the agent of ${node}`, isConnected, timeoutMs);
  }

  /** A process that makes builds; gives the URL that servers pass them on to. */
  async builder(name: string): Promise<ClusterProgram & { readonly url: string }> {
    const at = `127.0.0.1:${String(await freePort())}`;
    const flags = ["--listen", at, "--data-dir", join(this.folder, name)];
    const builder = Object.assign(this.#program(name, "dinp-builder", flags), { url: `http://${at}` });
    await builder.start(/takes builds/);
    return builder;
  }

  /** An outside health monitor. */
  async monitor(name: string): Promise<ClusterProgram> {
    const monitor = this.#program(name, "dinp-hm", ["--id", name]);
    await monitor.start(/monitors the instances/);
    return monitor;
  }

  /** A router; gives its port as well. `TestCluster.login` comes before it. */
  async router(name: string): Promise<ClusterProgram & { readonly port: number }> {
    const [first] = this.#servers;
    if (first === undefined) throw new Error("a server comes first");
    const port = await freePort();
    const token = (await this.ok(first, ["routers", "token"])).stdout.trim();
    const flags = [
      ...["--id", name, "--listen", `127.0.0.1:${String(port)}`, "--data-dir", join(this.folder, name)],
      ...["--servers", this.#servers.map(({ apiUrl }) => apiUrl).join(","), "--token", token],
      ...["--plaintext", "true"],
    ];
    const router = Object.assign(this.#program(name, "dinp-router", flags), { port });
    await router.start(/listens on/);
    return router;
  }

  /** Runs a `dinp` command against a server. */
  dinp({ apiUrl }: ServerProgram, words: readonly string[], input = ""): Promise<CommandResult> {
    const env = { ...this.#env, DINP_API: apiUrl };
    return runProgram(process.execPath, [join(projectRoot, "dist/bin/dinp.js"), ...words], { env, input });
  }

  /** Begins a `dinp` command against a server; resolves when it has printed what matches. */
  async begin(server: ServerProgram, words: readonly string[], until: RegExp): Promise<ClusterProgram> {
    const env = { ...this.#env, DINP_API: server.apiUrl };
    const begun = new ClusterProgram("dinp", [join(projectRoot, "dist/bin/dinp.js"), ...words], env);
    this.#programs.push(begun);
    await begun.start(until);
    return begun;
  }

  /** As {@link TestCluster.dinp}; throws with all that was printed unless it exits with 0. */
  async ok(server: ServerProgram, words: readonly string[], input = ""): Promise<CommandResult> {
    const result = await this.dinp(server, words, input);
    if (result.code === 0) return result;
    const said = [
      result.stdout,
      result.stderr,
      ...this.#programs.map(({ name, output }) => `${name}: ${output}`),
    ];
    throw new Error(`dinp ${words.join(" ")} exited with ${String(result.code)}:\n${said.join("\n")}`);
  }

  async json<T>(server: ServerProgram, ...words: readonly string[]): Promise<T> {
    return JSON.parse((await this.ok(server, [...words, "--json"])).stdout) as T;
  }

  /** Which server leads now. */
  leader(): Promise<ServerProgram> {
    return eventually(
      "a server that leads",
      async () => {
        for (const server of this.#servers) {
          if (await leads(server)) return server;
        }
        return undefined;
      },
      120_000,
    );
  }

  /** The ids of the instances of which a process runs, as the kernel knows them; sorted. */
  async instancesThatRun(): Promise<readonly string[]> {
    return [...new Set((await this.instanceProcesses()).map(({ instance }) => instance))].sort();
  }

  /** The processes of instances, as the kernel knows them; by their ids. */
  async instanceProcesses(): Promise<readonly InstanceProcess[]> {
    const found: InstanceProcess[] = [];
    for (const pid of await processesWith(this.#mark)) {
      const environ = await readFile(`/proc/${String(pid)}/environ`, "latin1").catch(() => "");
      const [, instance] = /(?:^|\0)DINP_INSTANCE_ID=([^\0]+)/.exec(environ) ?? [];
      if (instance !== undefined) found.push({ pid, instance });
    }
    return found.sort((a, b) => a.pid - b.pid);
  }

  /** Ends everything that it has started, instances too. */
  async dispose(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.end("SIGKILL")));
    for (const pid of await processesWith(this.#mark)) killIfThere(pid);
    await this.#removeCgroups();
    await this.redis.dispose();
    await this.database[Symbol.asyncDispose]();
    await this.#started.folder.remove();
  }

  /** Agents that were killed leave those of their instances. Where a disk holds up a process that was killed, they stay. */
  async #removeCgroups(): Promise<void> {
    const own = (await cgroupNames()).filter((name) => name.startsWith(`dinp-${this.id}-`));
    for (const name of new Set(own)) await removeCgroups(name).catch(() => undefined);
  }

  get #mark(): string {
    return `DINP_CLUSTER=${this.id}`;
  }

  #program(
    name: string,
    program: string,
    flags: readonly string[],
    entry: readonly string[] = [],
  ): ClusterProgram {
    const path = join(projectRoot, `dist/bin/${program}.js`);
    const command = [...this.nodeFlags, path, "--config", this.#config, ...flags];
    const made = new ClusterProgram(name, command, this.#env, entry);
    this.#programs.push(made);
    return made;
  }
}

/** As it says itself; not while it is stopped or has ended. */
async function leads({ observeUrl }: ServerProgram): Promise<boolean> {
  try {
    const answer = await fetch(`${observeUrl}/metrics`, { signal: AbortSignal.timeout(5_000) });
    return /^dinp_server_leads 1$/m.test(await answer.text());
  } catch {
    return false;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
