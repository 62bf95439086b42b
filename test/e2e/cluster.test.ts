// Runs the built programs: with vitest alone, run `npm run build` first.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { idsOf, pushEcho, readyInstances, twoServers, type Instance } from "./cluster-apps.js";
import { LEASE_MS, TestCluster, type ServerProgram } from "./cluster-support.js";
import { eventually, SteadyLoad } from "./harness.js";
import { get } from "./router-support.js";

/** However long a node is silent here, it is not lost. */
const patient = ["--lost-after", "10m"];

describeWithServices(["registry"], "a cluster of programs", ({ DINP_TEST_REGISTRY }) => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.start(DINP_TEST_REGISTRY);
  }, 480_000);

  afterEach(() => cluster.dispose(), 480_000);

  const push = (by: ServerProgram, name: string, instances: number): Promise<void> =>
    pushEcho(cluster, by, name, instances);

  const ready = (by: ServerProgram, app: string, count: number): Promise<readonly Instance[]> =>
    readyInstances(cluster, by, app, count);

  test("does through any server what a user asks for", { timeout: 480_000 }, async () => {
    const [first, second] = await twoServers(cluster, ...patient);
    await cluster.agent("n1", "21000-21099");
    await cluster.agent("n2", "21100-21199");
    const router = await cluster.router("r1");
    const leader = await cluster.leader();
    const follower = leader === first ? second : first;
    await push(follower, "shop", 2);
    const instances = await ready(follower, "shop", 2);
    const answers = new Set<string>();
    await eventually("answers of both", async () => {
      answers.add((await get(router.port, "shop.apps.test")).body);
      return answers.size === 2;
    });
    expect([...answers].sort()).toEqual(idsOf(instances));
    // What only the leader knows, asked of the other one.
    expect((await cluster.ok(follower, ["logs", "shop"])).stdout).toContain("it listens");
    expect(
      (await cluster.ok(follower, ["exec", "shop", "--", "sh", "-c", "echo $DINP_APP"])).stdout,
    ).toContain("shop");
    expect((await cluster.ok(follower, ["explain", "shop"])).stdout).toContain("requests are sent to it");
    const nodes = await cluster.json<{ items: { id: string; connected: boolean }[] }>(follower, "nodes");
    expect(nodes.items.map(({ id, connected }) => [id, connected])).toEqual([
      ["n1", true],
      ["n2", true],
    ]);
    await cluster.ok(follower, ["scale", "shop", "4"]);
    const four = await ready(leader, "shop", 4);
    expect(new Set(four.map(({ node }) => node))).toEqual(new Set(["n1", "n2"]));
  });

  test(
    "goes on when the leading server is killed under load: another one leads within the lease",
    { timeout: 480_000 },
    async () => {
      const [first, second] = await twoServers(cluster, ...patient);
      await cluster.agent("n1", "21200-21299");
      await cluster.agent("n2", "21300-21399");
      const router = await cluster.router("r1");
      await push(first, "shop", 4);
      const before = await ready(first, "shop", 4);
      const leader = await cluster.leader();
      const other = leader === first ? second : first;
      await eventually("the route", async () => (await get(router.port, "shop.apps.test")).status === 200);
      const load = new SteadyLoad(50, async () => {
        const { status = 0, body } = await get(router.port, "shop.apps.test");
        return { status, body, headers: {} };
      });
      onTestFinished(() => load.stop());
      const killedAt = performance.now();
      await leader.end("SIGKILL");
      expect(await cluster.leader()).toBe(other);
      const tookMs = performance.now() - killedAt;
      process.stdout.write(
        `the other server led after ${tookMs.toFixed(0)} ms of a lease of ${String(LEASE_MS)} ms\n`,
      );
      await cluster.connected(other, "n1");
      await cluster.connected(other, "n2");
      expect(idsOf(await ready(other, "shop", 4))).toEqual(idsOf(before));
      // It decides, too.
      await cluster.ok(other, ["scale", "shop", "5"]);
      const after = await ready(other, "shop", 5);
      expect(idsOf(after)).toEqual(expect.arrayContaining([...idsOf(before)]));
      await load.stop();
      expect(load.failures).toEqual([]);
      // Nothing that is not known runs.
      expect(await cluster.instancesThatRun()).toEqual(idsOf(after));
      expect(await leader.end("SIGTERM")).toBeNull();
      await leader.start(/answers at/);
      await push(leader, "shop", 5);
      await ready(leader, "shop", 5);
    },
  );

  test(
    "keeps instances while their agent is killed, and takes them over again",
    { timeout: 480_000 },
    async () => {
      const server = await cluster.server("s1", ...patient);
      await cluster.login(server);
      const agent = await cluster.agent("n1", "21400-21499");
      await push(server, "shop", 2);
      const before = await ready(server, "shop", 2);
      await agent.end("SIGKILL");
      await agent.start(/runs instances/);
      await cluster.connected(server, "n1");
      const after = await ready(server, "shop", 2);
      expect(after.map(({ id, startedAt }) => [id, startedAt])).toEqual(
        before.map(({ id, startedAt }) => [id, startedAt]),
      );
      expect(await agent.end("SIGTERM")).toBe(0);
      expect(await cluster.instancesThatRun()).toEqual(idsOf(before));
    },
  );

  test("has builds made by a builder, which answers nothing else", { timeout: 480_000 }, async () => {
    const builder = await cluster.builder("b1");
    const first = await cluster.server("s1", "--builder-url", builder.url, ...patient);
    await cluster.login(first);
    const token = (await readFile(join(cluster.folder, "s1", "admin-token"), "utf8")).trim();
    const headers = { authorization: `Bearer ${token}` };
    await cluster.agent("n1", "21500-21599");
    await push(first, "shop", 1);
    await ready(first, "shop", 1);
    expect(builder.output).toContain('"path":"/v1/apps/shop/builds","status":201');
    const server = first.output;
    expect(server).not.toContain('"path":"/v1/apps/shop/builds"');
    expect((await fetch(`${builder.url}/v1/apps`, { headers })).status).toBe(404);
    expect((await fetch(`${builder.url}/v1/apps/shop/builds`, { method: "POST" })).status).toBe(401);
    await builder.end("SIGKILL");
    const refused = await cluster.dinp(first, ["push", join(cluster.folder, "source-shop"), "--app", "shop"]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(`The server that builds, ${builder.url}, did not answer`);
    // What is not about builds goes on.
    await cluster.ok(first, ["scale", "shop", "2"]);
    await ready(first, "shop", 2);
    await builder.start(/takes builds/);
    await push(first, "shop", 2);
    expect(await builder.end("SIGTERM")).toBe(0);
  });

  test(
    "makes one admin token when two servers start at once, which nobody else may read",
    { timeout: 480_000 },
    async () => {
      const servers = await Promise.all([cluster.server("s1", ...patient), cluster.server("s2", ...patient)]);
      const said = servers.filter(({ output }) => output.includes("an admin token is in"));
      expect(said).toHaveLength(1);
      const [maker] = said;
      if (maker === undefined) throw new Error("no token was made");
      const { mode } = await stat(join(cluster.folder, maker.name, "admin-token"));
      expect(mode & 0o777).toBe(0o600);
      expect(maker.output).not.toMatch(/dinp_[0-9a-z]{52}/);
      await cluster.login(maker);
      await maker.end("SIGTERM");
      await maker.start(/answers at/);
      expect(maker.output).not.toContain("an admin token is in");
    },
  );
});
