import { readdir, readFile } from "node:fs/promises";
import { Agent, get } from "node:http";
import { join } from "node:path";
import {
  createBuilder,
  createImages,
  startPlatform,
  type Caller,
  type Platform,
  type PortRange,
} from "@dinp/core";
import { createDockerRuntime, loadImages } from "@dinp/core/docker";
import { createHttpProber } from "@dinp/core/http";
import { loadHttpProxyForwarder } from "@dinp/core/http-proxy";
import { createHttpRouter } from "@dinp/core/http-router";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { createMemoryRouteTable, createMemoryStateStore } from "@dinp/core/memory";
import * as system from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { expect, test } from "vitest";
import { EngineProcess } from "../adapters/docker-support/engine-process.js";
import { DockerStage } from "../adapters/docker-support/harness.js";
import { describeWithServices } from "../support/services.js";
import { eventually, freePort } from "./harness.js";

/** Instances that are made and removed; in CI some, by hand `DINP_TEST_CYCLES=1000`. */
const CYCLES = Number(process.env["DINP_TEST_CYCLES"] ?? "30");
const WARM_UP = 6;
const APPS = ["blog", "mail", "shop"] as const;
/** One more than there are instances: what one gives back, another one gets. */
const PORTS = APPS.length + 1;
/** Each is a connection that stays open. */
const ASKERS_PER_APP = 12;
const PAUSE_MS = 25;
const CLUSTER = "pressure";
const ROLLOUT_MS = 120_000;
/** The router lets idle connections go within it. */
const SETTLE_MS = 120_000;
/** As the kernel lists it. */
const ESTABLISHED = "01";
/** Connections come and go; what is left behind by every instance is more. */
const FILES_SLACK = 5;
/** Of what is not as it should be, as much is kept. */
const KEPT_MAX = 20;

const caller: Caller = { tokenId: "test", subject: "test", role: "admin" };

/** Says who it is, and keeps connections open. */
const server = `
const { DINP_APP: app, DINP_INSTANCE_ID: instance, PORT: port } = process.env;
const answer = JSON.stringify({ app, instance, port });
const server = require("node:http").createServer((request, response) => response.end(answer));
server.keepAliveTimeout = 60_000;
server.listen(port);
process.on("SIGTERM", () => process.exit(0));
`;

interface Said {
  readonly app: string;
  readonly instance: string;
  readonly port: string;
}

function keep(list: string[], text: string): void {
  if (list.length < KEPT_MAX) list.push(text);
}

/** Asks for each host again and again over connections that stay open, and keeps what is not as it should be. */
class Askers {
  readonly misrouted: string[] = [];
  readonly failures: string[] = [];
  readonly instances = new Set<string>();
  /** The apps that each port has been, one after the other. */
  readonly appsOfPorts = new Map<string, Set<string>>();
  answers = 0;
  #agent = new Agent();
  #loops: Promise<void>[] = [];
  #isOver = false;

  begin(port: number): void {
    this.#isOver = false;
    this.#agent = new Agent({ keepAlive: true, maxSockets: APPS.length * ASKERS_PER_APP });
    this.#loops = [];
    for (const app of APPS)
      for (let count = 0; count < ASKERS_PER_APP; count += 1) this.#loops.push(this.#loop(port, app));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
    this.#agent.destroy();
  }

  async #loop(port: number, app: string): Promise<void> {
    while (!this.#isOver) {
      const { status, body } = await this.#ask(port, app);
      this.answers += 1;
      if (status === 200) this.#compare(app, body);
      else keep(this.failures, `${app}: ${String(status)} ${body.slice(0, 80)}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #compare(app: string, body: string): void {
    const said = JSON.parse(body) as Said;
    this.instances.add(said.instance);
    const apps = this.appsOfPorts.get(said.port) ?? new Set();
    this.appsOfPorts.set(said.port, apps.add(said.app));
    if (said.app !== app) keep(this.misrouted, `${app} was answered by ${body}`);
  }

  #ask(port: number, app: string): Promise<{ readonly status: number; readonly body: string }> {
    return new Promise((resolve) => {
      const headers = { host: `${app}.apps.test` };
      const asked = get({ port, headers, agent: this.#agent, timeout: 60_000 }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.once("error", (error) => {
          resolve({ status: 0, body: error.message });
        });
        response.once("end", () => {
          resolve({ status: response.statusCode ?? 0, body });
        });
      });
      asked.once("timeout", () => asked.destroy(new Error("no answer within 60 s")));
      asked.once("error", (error) => {
        resolve({ status: 0, body: error.message });
      });
    });
  }
}

/** Changes the app's environment and waits until all of its instances are new ones. */
async function renew(platform: Platform, app: string, round: number): Promise<void> {
  const { number } = await platform.changeEnv(app, { set: { ROUND: String(round) } }, { caller });
  await completed(platform, app, number);
}

async function completed(platform: Platform, app: string, number: number): Promise<void> {
  const signal = AbortSignal.timeout(ROLLOUT_MS);
  let last = "";
  for await (const { state, reason } of platform.followRollout(app, number, { signal }))
    last = `${state}: ${reason}`;
  if (last.startsWith("complete")) return;
  const { facts } = await platform.explain(app, {});
  const events = await platform.listEvents({ app, limit: 20 });
  throw new Error(
    `release ${String(number)} of ${app}: ${last}\n${JSON.stringify({ facts, events }, null, 1)}`,
  );
}

async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${String(pid)}/fd`)).length;
}

/** How many connections there are to these ports. */
async function connectionsTo({ first, last }: PortRange): Promise<number> {
  const rows = (await readFile("/proc/self/net/tcp", "utf8")).split("\n").slice(1);
  return rows.filter((row) => {
    const [, , remote = "", state] = row.trim().split(/\s+/);
    const port = Number.parseInt(remote.slice(-4), 16);
    return state === ESTABLISHED && port >= first && port <= last;
  }).length;
}

/** What is there of everything that could be left behind. */
async function traces(engine: EngineProcess): Promise<Readonly<Record<string, number>>> {
  const { client } = engine;
  const networks = (await client.ask("GET", "/networks")) as readonly unknown[];
  const volumes = (await client.ask("GET", "/volumes")) as { readonly Volumes: readonly unknown[] | null };
  return {
    containers: (await client.containers(`io.dinp.cluster=${CLUSTER}`)).length,
    networks: networks.length,
    volumes: volumes.Volumes?.length ?? 0,
    "open files here": await openFiles(process.pid),
    "open files of the engine": await openFiles(engine.pid),
  };
}

describeWithServices(["docker"], "hardly more ports than instances", () => {
  test(
    `${String(CYCLES)} instances are made and removed, and no request gets another app's answer`,
    { timeout: 600_000 + CYCLES * 5_000 },
    async ({ onTestFinished }) => {
      const engine = await EngineProcess.start();
      onTestFinished(() => engine.dispose(), 480_000);
      const stage = await DockerStage.start(engine.socket);
      onTestFinished(() => stage.dispose(), 480_000);
      const clock = system.createSystemClock();
      const [random, hasher] = [system.createSystemRandom(), system.createNodeHasher()];
      const logger = system.createPinoLogger({ level: "silent" });
      const shared = { clock, random, hasher, logger, clusterId: CLUSTER };
      const store = createMemoryStateStore({ clock });
      const table = createMemoryRouteTable({ random });
      const { registry } = stage;
      const images = loadImages(registry);
      const runtime = createDockerRuntime({ ...shared, engine: { socketPath: engine.socket }, images });
      await Promise.all([store.open(), runtime.open()]);
      const first = await freePort();
      const range = { first, last: first + PORTS - 1 };
      const archive = createTarArchive();
      const { platform, follower, stop } = await startPlatform({
        ...{ ...shared, store, table, runtime, link: createInProcessControlLink() },
        prober: createHttpProber(),
        builder: createBuilder({ ...shared, registry, archive, parseYaml }),
        images: createImages({ registry, archive }),
        state: system.createFileLocalState({ dir: join(stage.folder, "agent") }),
        ports: { range, isFree: (port) => system.isPortFree(port) },
        ...{ appsDomain: "apps.test", routerUrl: () => "http://127.0.0.1" },
      });
      const forwarder = await loadHttpProxyForwarder();
      const listen = { host: "127.0.0.1", port: 0 };
      const router = createHttpRouter({ ...shared, listen, routerId: "local", follower, forwarder });
      const { port } = await router.start();
      onTestFinished(async () => {
        await router.close({ drainMs: 0 });
        await Promise.all([forwarder.close(), stop()]);
        await Promise.all([runtime.close(), table.close(), store.close()]);
      }, 480_000);

      const config = { Cmd: ["/usr/bin/node", "/app/server.js"] };
      for (const app of APPS) {
        const { repository, digest } = await stage.makeImage({ "server.js": server }, config);
        const image = `${repository}@${digest}`;
        const request = { image, memoryMb: 64 };
        const { number } = await platform.createRelease(app, request, { caller });
        await completed(platform, app, number);
      }
      const askers = new Askers();
      const rounds = async (count: number): Promise<void> => {
        const loop = async (app: string): Promise<void> => {
          for (let round = 0; round < count / APPS.length; round += 1) await renew(platform, app, made++);
        };
        await Promise.all(APPS.map(loop));
      };
      const removed = async (): Promise<boolean> =>
        (await engine.client.containers(`io.dinp.cluster=${CLUSTER}`)).length === APPS.length;
      const asked = async (count: number): Promise<void> => {
        askers.begin(port);
        await rounds(count);
        await eventually("all that was replaced is removed", removed);
        await askers.stop();
      };
      let made = 0;
      await asked(WARM_UP);
      await eventually("idle connections end", async () => (await connectionsTo(range)) === 0, SETTLE_MS);
      const before = await traces(engine);
      await asked(CYCLES - WARM_UP);
      let after = before;
      const isSettled = async (): Promise<boolean> => {
        after = await traces(engine);
        return Object.entries(before).every(
          ([name, count]) => (after[name] ?? 0) <= count + (name.startsWith("open files") ? FILES_SLACK : 0),
        );
      };
      await eventually(`nothing grows: ${JSON.stringify(before)}`, isSettled, SETTLE_MS).finally(() => {
        const { instances, answers } = askers;
        const counts = `${String(made)} instances, ${String(instances.size)} of them answered, ${String(answers)} answers`;
        console.log(counts, { before, after }, askers.appsOfPorts);
      });
      expect(askers.misrouted).toEqual([]);
      expect(askers.failures).toEqual([]);
      expect(askers.instances.size).toBeGreaterThan(made / 2);
      // Each port has been every app's.
      expect([...askers.appsOfPorts.values()].map(({ size }) => size)).toEqual(
        Array(PORTS).fill(APPS.length),
      );

      for (const app of APPS) await platform.deleteApp(app, { confirm: true }, { caller });
      const gone = async (): Promise<boolean> =>
        (await engine.client.containers(`io.dinp.cluster=${CLUSTER}`)).length === 0;
      await eventually("no container is left", gone);
    },
  );
});
