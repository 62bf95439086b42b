import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { EngineProcess } from "../adapters/docker-support/engine-process.js";
import { OwnNetwork } from "../adapters/docker-support/own-network.js";
import { describeWithServices } from "../support/services.js";
import { eventually, SteadyLoad, temporaryFolder, TestPlatform, type Answer } from "./harness.js";

const execute = promisify(execFile);
/** As long as promised, where `DINP_TEST_OUTAGE_S` does not say otherwise. */
const OUTAGE_MS = 1_000 * Number(process.env["DINP_TEST_OUTAGE_S"] ?? "60");
const APPS = ["blog", "mail", "shop"] as const;
const INSTANCES = 2;
/** Of each app. */
const REQUESTS_PER_SECOND = 16;
/** What the router says while an app's instances cannot be reached: they are gone, or their ports with the engine. */
const HONEST = /status 50[23] (?:endpoint_failed|no_ready_instance)/;

/** Says who it is. */
const server = `
const { DINP_APP: app, DINP_INSTANCE_ID: instance } = process.env;
require("node:http")
  .createServer((request, response) => response.end(JSON.stringify({ app, instance })))
  .listen(process.env.PORT);
`;

interface Container {
  readonly id: string;
  readonly app: string;
  readonly instance: string;
  readonly port: string;
}

interface InstanceItem {
  readonly id: string;
  readonly ready: boolean;
}

interface Variant {
  readonly liveRestore: boolean;
  /** Who leads connections to containers: the engine's helper, which ends with it, or the kernel. */
  readonly lead: "helper" | "kernel";
  /** What ends the engine, one outage after the other. */
  readonly signals: readonly ("SIGTERM" | "SIGKILL")[];
}

/** Neither the signal nor who leads may make a difference to what runs, only to what is reached meanwhile. */
const variants: readonly Variant[] = [
  { liveRestore: true, lead: "kernel", signals: ["SIGTERM", "SIGKILL"] },
  { liveRestore: false, lead: "helper", signals: ["SIGTERM", "SIGKILL"] },
  { liveRestore: true, lead: "helper", signals: ["SIGTERM"] },
];

let lastTurn: Promise<unknown> = Promise.resolve();

/** Scenes are set up one after the other: each takes all of a small machine. */
function inTurn<T>(step: () => Promise<T>): Promise<T> {
  const turn = lastTurn.then(step);
  lastTurn = turn.catch(() => undefined);
  return turn;
}

/** A platform on an engine of its own, with apps that are asked all the time. */
class Scene {
  readonly engine: EngineProcess;
  readonly platform: TestPlatform;
  readonly #client: string;
  readonly #undo: readonly (() => Promise<void>)[];
  readonly #loads = new Map<string, SteadyLoad>();
  /** Answers that another app gave. */
  readonly misrouted: string[] = [];
  /** Who answered. */
  readonly answered = new Set<string>();

  private constructor(
    engine: EngineProcess,
    platform: TestPlatform,
    client: string,
    undo: readonly (() => Promise<void>)[],
  ) {
    this.engine = engine;
    this.platform = platform;
    this.#client = client;
    this.#undo = undo;
  }

  static async set(client: string, { liveRestore, lead }: Variant): Promise<Scene> {
    const undo: (() => Promise<void>)[] = [];
    try {
      const folder = await temporaryFolder();
      undo.push(() => folder.remove());
      // No other engine's rules, and nobody else's servers: an instance's port is anyone's while the engine is away.
      const network = await OwnNetwork.make();
      undo.push(() => network.remove());
      const engine = await EngineProcess.start(network);
      undo.push(() => engine.dispose());
      await engine.configure({ "live-restore": liveRestore, "userland-proxy": lead === "helper" });
      await engine.terminate();
      await engine.restart();
      const platform = await TestPlatform.in(folder.path, network);
      undo.push(() => platform.dispose());
      await platform.start(["--runtime", "docker", "--docker-host", `unix://${engine.socket}`]);
      const source = join(folder.path, "source");
      await mkdir(source);
      await writeFile(join(source, "server.js"), server);
      const instances = ["--instances", String(INSTANCES), "--memory", "64M"];
      for (const app of APPS) await platform.ok("push", source, "--app", app, ...instances);
      return new Scene(engine, platform, client, undo);
    } catch (error) {
      await undoAll(undo);
      throw error;
    }
  }

  beginLoad(): void {
    for (const app of APPS) this.#loads.set(app, new SteadyLoad(REQUESTS_PER_SECOND, () => this.#ask(app)));
  }

  /** Ends it; gives what failed, and how much was sent. */
  async endLoad(): Promise<{ readonly sent: number; readonly failures: readonly string[] }> {
    const loads = [...this.#loads.values()];
    this.#loads.clear();
    await Promise.all(loads.map((load) => load.stop()));
    return {
      sent: loads.reduce((sum, { sent }) => sum + sent, 0),
      failures: loads.flatMap(({ failures }) => failures),
    };
  }

  async #ask(app: string): Promise<Answer> {
    const answer = await this.platform.get(`${app}.apps.localhost`);
    if (answer.status === 200) {
      const said = JSON.parse(answer.body) as { readonly app: string; readonly instance: string };
      this.answered.add(said.instance);
      if (said.app !== app) this.misrouted.push(`${app} was answered by ${answer.body}`);
    }
    return answer;
  }

  /** The containers of instances that run, by id. */
  async running(): Promise<readonly Container[]> {
    const format = '{{.ID}} {{.Label "io.dinp.app"}} {{.Label "io.dinp.instance"}} {{.Ports}}';
    const listed = await this.#docker(
      "ps",
      "--no-trunc",
      "--filter",
      "label=io.dinp.instance",
      "--format",
      format,
    );
    return listed
      .split("\n")
      .filter((line) => line !== "")
      .sort()
      .map((line) => {
        const [id = "", app = "", instance = "", port = ""] = line.split(" ");
        return { id, app, instance, port };
      });
  }

  /** How many containers of instances there are, running or not. */
  async count(): Promise<number> {
    return (await this.#docker("ps", "-aq", "--filter", "label=io.dinp.instance")).split("\n").filter(Boolean)
      .length;
  }

  async ready(): Promise<readonly string[]> {
    const items = await Promise.all(
      APPS.map(
        async (app) => (await this.platform.json<{ items: readonly InstanceItem[] }>("instances", app)).items,
      ),
    );
    return items.flat().flatMap(({ id, ready }) => (ready ? [id] : []));
  }

  /** How many instances are ready and run: for some seconds the platform may not know yet that one has ended. */
  async serving(): Promise<number> {
    const running = new Set((await this.running()).map(({ instance }) => instance));
    return (await this.ready()).filter((instance) => running.has(instance)).length;
  }

  async #docker(...args: readonly string[]): Promise<string> {
    return (await execute(this.#client, ["-H", `unix://${this.engine.socket}`, ...args])).stdout.trim();
  }

  async dispose(): Promise<void> {
    await this.endLoad();
    await undoAll(this.#undo);
  }
}

/** Last first. */
async function undoAll(undo: readonly (() => Promise<void>)[]): Promise<void> {
  for (const one of [...undo].reverse()) await one();
}

/** How many failures of each kind there are, for a message: the whole list is cut where it is long. */
function tally(failures: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const failure of failures) {
    const kind = failure
      .replace(/^request \d+: /, "")
      .split("\n", 1)
      .join("");
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${String(count)} times: ${kind}`).join("; ");
}

/** The engine is away and comes back, while all apps are asked. */
async function outage(scene: Scene, variant: Variant, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const { engine, platform } = scene;
  const before = await scene.running();
  expect(before).toHaveLength(APPS.length * INSTANCES);
  scene.beginLoad();
  if (signal === "SIGTERM") await engine.terminate();
  else await engine.kill();
  await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
  // The platform is there all the time.
  expect((await platform.ok("apps")).stdout).toContain("shop");
  await engine.restart();
  await eventually("all are ready, and run", async () => (await scene.serving()) === before.length, 120_000);
  await eventually("nothing is left over", async () => (await scene.count()) === before.length, 120_000);
  const during = await scene.endLoad();
  expect(during.sent).toBeGreaterThan((OUTAGE_MS / 1_000) * APPS.length * (REQUESTS_PER_SECOND / 2));
  const isReached = variant.liveRestore && variant.lead === "kernel";
  const unexpected = during.failures.filter((failure) => isReached || !HONEST.test(failure));
  expect(unexpected, tally(unexpected)).toEqual([]);
  if (!isReached) expect(during.failures).not.toEqual([]);

  const after = await scene.running();
  const known = new Set(before.map(({ instance }) => instance));
  if (variant.liveRestore) expect(after).toEqual(before);
  else expect(after.filter(({ instance }) => known.has(instance))).toEqual([]);
  expect(new Set(after.map(({ port }) => port)).size).toBe(before.length);
  for (const app of new Set(before.map((each) => each.app)))
    expect(after.filter((each) => each.app === app)).toHaveLength(INSTANCES);

  scene.answered.clear();
  scene.beginLoad();
  await eventually("all answer", () => scene.answered.size >= before.length);
  expect((await scene.endLoad()).failures).toEqual([]);
  expect(scene.answered).toEqual(new Set(after.map(({ instance }) => instance)));
  expect(scene.misrouted).toEqual([]);
}

describeWithServices(["docker"], "an engine that is away for a minute", (places) => {
  describe.concurrent("under requests through the router", () => {
    test.for(variants)(
      "live-restore $liveRestore, connections led by its $lead",
      { timeout: 1_200_000 },
      async (variant, { onTestFinished }) => {
        const scene = await inTurn(() => Scene.set(places.DINP_TEST_DOCKER_CLIENT, variant));
        onTestFinished(() => scene.dispose(), 480_000);
        for (const signal of variant.signals) await outage(scene, variant, signal);
        // The engine is used as before.
        await scene.platform.ok("scale", "shop", String(INSTANCES + 1));
        const ready = APPS.length * INSTANCES + 1;
        await eventually("one more is ready", async () => (await scene.ready()).length === ready);
      },
    );
  });
});
