// Runs the built programs: with vitest alone, run `npm run build` first.
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { idsOf, pushEcho, readyInstances, twoServers } from "./cluster-apps.js";
import type { ClusterProgram } from "./cluster-program.js";
import { LOST_AFTER_MS, TestCluster, type ServerProgram } from "./cluster-support.js";
import { eventually } from "./harness.js";
import { askRouter, endsOf, OUTAGE_MS, pause, RouterLoad } from "./outage-support.js";

const HOST = "shop.apps.test";
const INSTANCES = 3;
/** Of each of the two routers. */
const REQUESTS_PER_SECOND = 25;
/** For all to find each other again, on a machine that is busy with other things. */
const RECOVERY_MS_MAX = 120_000;

type Router = ClusterProgram & { readonly port: number };

/** All that is neither a router nor an instance. */
class ControlPlane {
  readonly #cluster: TestCluster;
  readonly #programs: readonly ClusterProgram[];

  /** `programs`: in the order in which they are started. */
  constructor(cluster: TestCluster, programs: readonly ClusterProgram[]) {
    this.#cluster = cluster;
    this.#programs = programs;
  }

  /** Resolves when nothing of it does anything any more. */
  async stop(signal: "SIGSTOP" | "SIGKILL"): Promise<void> {
    const { database, redis } = this.#cluster;
    if (signal === "SIGKILL") {
      await Promise.all(this.#programs.map((program) => program.end("SIGKILL")));
      await Promise.all([redis.kill(), database.kill()]);
      return;
    }
    await Promise.all(this.#programs.map((program) => program.pause()));
    redis.pause();
    await database.pause();
  }

  async start(signal: "SIGSTOP" | "SIGKILL"): Promise<void> {
    const { database, redis } = this.#cluster;
    if (signal === "SIGKILL") {
      await Promise.all([redis.start(), database.restart()]);
      for (const program of this.#programs) await program.restart();
      return;
    }
    redis.resume();
    await database.resume();
    for (const program of this.#programs) program.resume();
  }
}

describeWithServices(["registry"], "all but routers and instances is gone", ({ DINP_TEST_REGISTRY }) => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.start(DINP_TEST_REGISTRY);
  }, 480_000);

  afterEach(() => cluster.dispose(), 480_000);

  function startLoad({ port }: Router): RouterLoad {
    const load = new RouterLoad(REQUESTS_PER_SECOND, port, HOST);
    onTestFinished(() => load.stop());
    return load;
  }

  /** Kills a router and starts it; gives how long it took from then to its first answer, in milliseconds. */
  async function restart(router: Router): Promise<number> {
    await router.end("SIGKILL");
    const startedAt = performance.now();
    const firstAnswer = async (): Promise<number | false> => {
      const { status } = await askRouter(router.port, HOST);
      return status === 200 && performance.now() - startedAt;
    };
    const [tookMs] = await Promise.all([
      eventually("its first answer", firstAnswer, RECOVERY_MS_MAX),
      router.restart(),
    ]);
    return tookMs;
  }

  /** Every instance answers through every router. */
  async function allAnswer(routers: readonly Router[], ids: readonly string[]): Promise<void> {
    for (const { name, port } of routers) {
      const answered = new Set<string>();
      const haveAll = async (): Promise<boolean> => {
        answered.add((await askRouter(port, HOST)).body);
        return ids.every((id) => answered.has(id));
      };
      await eventually(`answers of all through ${name}`, haveAll, RECOVERY_MS_MAX);
    }
  }

  /** It decides again, and did nothing to what runs. */
  async function worksAgain(server: ServerProgram, routers: readonly Router[]): Promise<void> {
    await cluster.leader();
    for (const node of ["n1", "n2"]) await cluster.connected(server, node, RECOVERY_MS_MAX);
    // A new leader waits twice as long for nodes: from here on it has told silent ones from lost ones.
    await pause(2 * LOST_AFTER_MS);
    await cluster.ok(server, ["scale", "shop", String(INSTANCES + 1)]);
    const after = await readyInstances(cluster, server, "shop", INSTANCES + 1, RECOVERY_MS_MAX);
    await allAnswer(routers, idsOf(after));
  }

  test.for(["SIGSTOP", "SIGKILL"] as const)(
    "under load, by %s: no request fails, no instance stops, and a router that starts meanwhile serves",
    { timeout: OUTAGE_MS + 2 * LOST_AFTER_MS + 3 * RECOVERY_MS_MAX },
    async (signal) => {
      const servers = await twoServers(cluster);
      const agents = [await cluster.agent("n1", "26000-26099"), await cluster.agent("n2", "26100-26199")];
      const monitor = await cluster.monitor("m1");
      const [steady, restarted] = [await cluster.router("r1"), await cluster.router("r2")];
      await pushEcho(cluster, servers[1], "shop", INSTANCES);
      const instances = await readyInstances(cluster, servers[1], "shop", INSTANCES, RECOVERY_MS_MAX);
      expect(new Set(instances.map(({ node }) => node))).toEqual(new Set(["n1", "n2"]));
      await allAnswer([steady, restarted], idsOf(instances));
      const before = await cluster.instanceProcesses();
      const controlPlane = new ControlPlane(cluster, [...agents, ...servers, monitor]);

      const loads = [startLoad(steady), startLoad(restarted)];
      await controlPlane.stop(signal);
      await pause(OUTAGE_MS / 2);
      await loads[1]?.stop();
      const tookMs = await restart(restarted);
      loads.push(startLoad(restarted));
      await pause(OUTAGE_MS / 2);
      expect(await cluster.instanceProcesses()).toEqual(before);
      await controlPlane.start(signal);
      await worksAgain(servers[0], [steady, restarted]);
      await Promise.all(loads.map((load) => load.stop()));

      const seconds = (OUTAGE_MS / 1_000).toFixed(0);
      process.stdout.write(
        `all but routers and instances was gone for ${seconds} s by ${signal}: ${endsOf(loads)}; ` +
          `a router that was started meanwhile answered after ${tookMs.toFixed(0)} ms\n`,
      );
      expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
      const sent = loads.reduce((sum, load) => sum + load.sent, 0);
      expect(sent).toBeGreaterThan((OUTAGE_MS / 1_000) * REQUESTS_PER_SECOND);
      expect(await cluster.instanceProcesses()).toEqual(expect.arrayContaining([...before]));
      expect(await cluster.instancesThatRun()).toHaveLength(INSTANCES + 1);
    },
  );
});
