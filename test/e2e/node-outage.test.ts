// Runs the built programs: with vitest alone, run `npm run build` first.
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { defaultPlanPolicy } from "../../src/core/plan/policy.js";
import { OwnNetwork } from "../adapters/docker-support/own-network.js";
import { describeWithServices } from "../support/services.js";
import {
  adminToken,
  idsOf,
  instancesOf,
  pushEcho,
  readyInstances,
  twoServers,
  type Instance,
} from "./cluster-apps.js";
import { LOST_AFTER_MS, TestCluster, type ServerProgram } from "./cluster-support.js";
import { freePort } from "./harness.js";
import { relay, Sampler, type Sample } from "./node-outage-support.js";
import { endsOf, OUTAGE_MS, pause, RouterLoad } from "./outage-support.js";

const HOST = "shop.apps.test";
const INSTANCES = 4;
const REQUESTS_PER_SECOND = 20;
/** The platform's slowest beat: an agent is heard of this often. */
const TICK_MS = 5_000;
/** What a machine that is busy with other things may add to any of the platform's own times. */
const SLACK_MS = 90_000;
const TEST_MS_MAX = OUTAGE_MS + 4 * LOST_AFTER_MS + 5 * SLACK_MS;

// That there is an engine says that this machine lets tests make networks.
describeWithServices(["docker", "registry"], "a node that is away", ({ DINP_TEST_REGISTRY }) => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.start(DINP_TEST_REGISTRY);
  }, 480_000);

  afterEach(() => cluster.dispose(), 480_000);

  /** The app runs on three nodes, and the leader leads for long enough to call one lost. */
  async function pushed(by: ServerProgram): Promise<readonly Instance[]> {
    await pushEcho(cluster, by, "shop", INSTANCES);
    const instances = await readyInstances(cluster, by, "shop", INSTANCES, SLACK_MS);
    expect(new Set(instances.map(({ node }) => node))).toEqual(new Set(["n1", "n2", "n3"]));
    await pause(2 * LOST_AFTER_MS);
    return instances;
  }

  async function watch(by: ServerProgram): Promise<{ sampler: Sampler; load: RouterLoad }> {
    const router = await cluster.router("r1");
    const load = new RouterLoad(REQUESTS_PER_SECOND, router.port, HOST);
    onTestFinished(() => load.stop());
    const sampler = new Sampler({ apiUrl: by.apiUrl, token: await adminToken(cluster), app: "shop" });
    await sampler.first(0, isWhole, SLACK_MS);
    return { sampler, load };
  }

  test(
    "because it was cut off: its app goes on elsewhere, and is not doubled for long once it is back",
    {
      timeout: TEST_MS_MAX,
    },
    async () => {
      const network = await OwnNetwork.make();
      onTestFinished(() => network.remove());
      const link = String(await freePort());
      const registry = await relay(network.gateway, Number(new URL(DINP_TEST_REGISTRY).port));
      const linkFlags = ["--link-listen", `0.0.0.0:${link}`, "--link-url", `http://127.0.0.1:${link}`];
      const server = await cluster.server("s1", ...linkFlags);
      await cluster.login(server);
      await cluster.agentIn(
        network.entry,
        "n1",
        "26200-26299",
        ...["--address", network.address, "--servers", `http://${network.gateway}:${link}`],
        ...["--registry-url", `http://${network.gateway}:${String(registry)}`],
      );
      const here = ["--servers", `http://127.0.0.1:${link}`];
      await cluster.agent("n2", "26300-26399", ...here);
      await cluster.agent("n3", "26400-26499", ...here);
      const instances = await pushed(server);
      const onCut = instances.filter(({ node }) => node === "n1").length;
      const { sampler, load } = await watch(server);

      const cutAt = performance.now();
      sampler.cutOff = network.address;
      await network.cut();
      const restored = await sampler.first(cutAt, isServed, LOST_AFTER_MS + SLACK_MS);
      await pause(Math.max(3_000, OUTAGE_MS - (performance.now() - cutAt)));
      expect(await cluster.instancesThatRun()).toHaveLength(INSTANCES + onCut);
      const healedAt = performance.now();
      await network.heal();
      sampler.cutOff = null;
      const heard = cluster.connected(server, "n1", SLACK_MS).then(() => performance.now());
      const whole = await sampler.first(healedAt, isWhole, 3 * TICK_MS + SLACK_MS);
      const heardAt = await heard;
      await pause(TICK_MS);
      await Promise.all([sampler.stop(), load.stop()]);

      print("cut off", {
        sampler,
        load,
        servers: [server],
        from: cutAt,
        restored,
        backAt: healedAt,
        heardAt,
        whole,
      });
      expect(leastOf(sampler.since(cutAt))).toBe(INSTANCES - onCut);
      expect(dipsOf(sampler.since(restored.at))).toEqual([]);
      const after = await readyInstances(cluster, server, "shop", INSTANCES);
      expect(await cluster.instancesThatRun()).toEqual(idsOf(after));
      // Connections that were kept are used no more by then, and who cannot be reached is passed over.
      expect(load.failedAt.filter((at) => at > cutAt + LOST_AFTER_MS)).toEqual([]);
      expect(load.failedAt.length).toBeLessThan(load.sent / 10);
    },
  );

  test(
    "for good, also for a new leader: what it ran stays replaced when it is back",
    {
      timeout: TEST_MS_MAX,
    },
    async () => {
      const servers = await twoServers(cluster);
      const first = await cluster.agent("n1", "26500-26599");
      const victim = await cluster.agent("n2", "26600-26699");
      const third = await cluster.agent("n3", "26700-26799");
      const leader = await cluster.leader();
      const other = servers.find((server) => server !== leader) ?? leader;
      const instances = await pushed(other);
      const { sampler, load } = await watch(other);
      const lost = instances.filter(({ node }) => node === "n2").map(({ id }) => id);

      await victim.end("SIGKILL");
      for (const { pid, instance } of await cluster.instanceProcesses())
        if (lost.includes(instance)) process.kill(pid, "SIGKILL");
      const killedAt = performance.now();
      const fallen = await sampler.first(killedAt, (sample) => !isServed(sample), SLACK_MS);
      const restored = await sampler.first(fallen.at, isServed, LOST_AFTER_MS + SLACK_MS);
      const known = await instancesOf(cluster, other, "shop");
      const countOn = (id: string): number => known.filter(({ node }) => node === id).length;
      const slow = countOn("n3") > countOn("n1") ? third : first;
      await slow.pause();
      await leader.end("SIGKILL");
      expect(await cluster.leader()).toBe(other);
      const ledFrom = performance.now();
      // To the new leader, what serves there and what was lost look alike for longer than it waits for reports.
      await pause(defaultPlanPolicy.firstReportMs + 2_000);
      slow.resume();
      // A new leader that has taken silence for loss has had time to do what it thinks right.
      const now = performance.now();
      await pause(Math.max(ledFrom + 3 * LOST_AFTER_MS - now, killedAt + OUTAGE_MS - now));
      const backAt = performance.now();
      await victim.restart();
      await cluster.connected(other, "n2", SLACK_MS);
      const heardAt = performance.now();
      const whole = await sampler.first(backAt, isWhole, 3 * TICK_MS + SLACK_MS);
      await pause(TICK_MS);
      await Promise.all([sampler.stop(), load.stop()]);

      print("killed", { sampler, load, servers, from: killedAt, restored, backAt, heardAt, whole });
      expect(leastOf(sampler.since(killedAt))).toBe(INSTANCES - lost.length);
      expect(dipsOf(sampler.since(restored.at))).toEqual([]);
      expect(load.failures).toEqual([]);
      const after = idsOf(await readyInstances(cluster, other, "shop", INSTANCES));
      expect(after.filter((id) => lost.includes(id))).toEqual([]);
      expect(await cluster.instancesThatRun()).toEqual(after);
      // The node is one like the others again.
      await cluster.ok(other, ["scale", "shop", String(INSTANCES + 1)]);
      const more = await readyInstances(cluster, other, "shop", INSTANCES + 1, SLACK_MS);
      expect(more.some(({ node }) => node === "n2")).toBe(true);
    },
  );
});

function isServed({ serving }: Sample): boolean {
  return serving >= INSTANCES;
}

function isWhole({ known, serving }: Sample): boolean {
  return known === INSTANCES && serving === INSTANCES;
}

function leastOf(samples: readonly Sample[]): number {
  return Math.min(...samples.map(({ serving }) => serving));
}

/** What the samples with fewer instances than are wanted show, for people; of the first of them. */
function dipsOf(samples: readonly Sample[]): readonly string[] {
  const [first] = samples;
  return samples
    .filter((sample) => !isServed(sample))
    .slice(0, 3)
    .map((sample) => {
      const after = ((sample.at - (first?.at ?? sample.at)) / 1_000).toFixed(2);
      return `${after} s after that: ${sample.missing.join("; ")}`;
    });
}

interface Course {
  readonly sampler: Sampler;
  readonly load: RouterLoad;
  readonly servers: readonly ServerProgram[];
  readonly from: number;
  readonly restored: Sample;
  readonly backAt: number;
  readonly heardAt: number;
  readonly whole: Sample;
}

function print(how: string, course: Course): void {
  const { sampler, load, servers, from, restored, backAt, heardAt, whole } = course;
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const samples = sampler.since(from);
  const [last] = samples.slice(-1);
  const perSecond = (1_000 * samples.length) / ((last?.at ?? from) - from);
  const replaced = samples.find(({ known }) => known > INSTANCES);
  const leaderships = servers.flatMap(({ output }) => output.match(/"msg":"leading"/g) ?? []).length;
  const most = Math.max(...samples.map(({ known }) => known));
  process.stdout.write(
    [
      `a node was ${how} for ${seconds(backAt - from)}; ${String(INSTANCES)} instances are wanted, lost after ${seconds(LOST_AFTER_MS)}`,
      `it was replaced after ${seconds((replaced?.at ?? restored.at) - from)}, and capacity was restored after ${seconds(restored.at - from)}; a server began to lead ${String(leaderships)} times in all`,
      `serving, at least: ${String(leastOf(samples))} until then, ${String(leastOf(sampler.since(restored.at)))} afterwards; known, at most: ${String(most)}`,
      ...dipsOf(sampler.since(restored.at)).map((dip) => `fewer served ${dip}`),
      `once it was back, it was heard of after ${seconds(heardAt - backAt)}, and nothing was doubled after ${seconds(whole.at - backAt)}`,
      `${String(samples.length)} samples, ${perSecond.toFixed(1)} a second, ${String(sampler.misses)} unanswered; requests: ${endsOf([load])}\n`,
    ].join("\n  "),
  );
}
