import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, test } from "vitest";
import { EngineProcess } from "../adapters/docker-support/engine-process.js";
import { describeWithServices } from "../support/services.js";
import { eventually, SteadyLoad, temporaryFolder, TestPlatform, type Answer } from "./harness.js";

const execute = promisify(execFile);
const OUTAGE_MS = 60_000;
const APPS = ["blog", "mail", "shop"] as const;
const INSTANCES = 2;
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

/** A platform on an engine of its own, with apps that are asked all the time. */
class Scene {
  readonly engine: EngineProcess;
  readonly platform: TestPlatform;
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;
  readonly #client: string;
  readonly #loads = new Map<string, SteadyLoad>();
  /** Answers that another app gave. */
  readonly misrouted: string[] = [];

  private constructor(
    engine: EngineProcess,
    platform: TestPlatform,
    folder: Awaited<ReturnType<typeof temporaryFolder>>,
    client: string,
  ) {
    this.engine = engine;
    this.platform = platform;
    this.#folder = folder;
    this.#client = client;
  }

  static async set(client: string, options: { readonly liveRestore: boolean }): Promise<Scene> {
    const folder = await temporaryFolder();
    const engine = await EngineProcess.start();
    await engine.setLiveRestore(options.liveRestore);
    await engine.terminate();
    await engine.restart();
    const platform = await TestPlatform.in(folder.path);
    const scene = new Scene(engine, platform, folder, client);
    await platform.start(["--runtime", "docker", "--docker-host", `unix://${engine.socket}`]);
    const source = join(folder.path, "source");
    await mkdir(source);
    await writeFile(join(source, "server.js"), server);
    const instances = ["--instances", String(INSTANCES), "--memory", "64M"];
    for (const app of APPS) await platform.ok("push", source, "--app", app, ...instances);
    return scene;
  }

  beginLoad(): void {
    for (const app of APPS) this.#loads.set(app, new SteadyLoad(10, () => this.#ask(app)));
  }

  /** Ends it; gives what failed, and how much was sent. */
  async endLoad(): Promise<{ readonly sent: number; readonly failures: readonly string[] }> {
    const loads = [...this.#loads.values()];
    await Promise.all(loads.map((load) => load.stop()));
    return {
      sent: loads.reduce((sum, { sent }) => sum + sent, 0),
      failures: loads.flatMap(({ failures }) => failures),
    };
  }

  async #ask(app: string): Promise<Answer> {
    const answer = await this.platform.get(`${app}.apps.localhost`);
    if (answer.status === 200) {
      const said = JSON.parse(answer.body) as { readonly app: string };
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

  async #docker(...args: readonly string[]): Promise<string> {
    return (await execute(this.#client, ["-H", `unix://${this.engine.socket}`, ...args])).stdout.trim();
  }

  async dispose(): Promise<void> {
    await this.endLoad();
    await this.platform.dispose();
    await this.engine.dispose();
    await this.#folder.remove();
  }
}

describeWithServices(["docker"], "an engine that is away for a minute", (places) => {
  describe.concurrent("under requests through the router", () => {
    test.for([true, false])(
      "live-restore %s",
      { timeout: 300_000 },
      async (liveRestore, { onTestFinished, expect }) => {
        const scene = await Scene.set(places.DINP_TEST_DOCKER_CLIENT, { liveRestore });
        onTestFinished(() => scene.dispose(), 120_000);
        const { engine, platform } = scene;
        const before = await scene.running();
        expect(before).toHaveLength(APPS.length * INSTANCES);
        scene.beginLoad();

        await engine.terminate();
        await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
        // The platform is there all the time.
        expect((await platform.ok("apps")).stdout).toContain("shop");
        await engine.restart();
        await eventually("all are ready", async () => (await scene.ready()).length === before.length, 60_000);
        await eventually("nothing is left over", async () => (await scene.count()) === before.length, 60_000);
        const during = await scene.endLoad();
        expect(during.sent).toBeGreaterThan(500);
        expect(during.failures.filter((failure) => !HONEST.test(failure))).toEqual([]);

        scene.beginLoad();
        const after = await scene.running();
        const known = new Set(before.map(({ instance }) => instance));
        if (liveRestore) expect(after).toEqual(before);
        else expect(after.filter(({ instance }) => known.has(instance))).toEqual([]);
        expect(new Set(after.map(({ port }) => port)).size).toBe(before.length);
        for (const app of new Set(before.map((each) => each.app)))
          expect(after.filter((each) => each.app === app)).toHaveLength(INSTANCES);
        // The engine is used again.
        await platform.ok("scale", "shop", "3");
        await eventually(
          "the third is ready",
          async () => (await scene.ready()).length === before.length + 1,
        );
      },
    );
  });
});
