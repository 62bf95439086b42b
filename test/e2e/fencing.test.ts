// Runs the built programs: with vitest alone, run `npm run build` first.
import { createRedisRouteTable } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { expect, onTestFinished, test } from "vitest";
import { postgresKind } from "../adapters/sql-support/kinds.js";
import { describeWithServices } from "../support/services.js";
import { idsOf, instancesOf, metric, pushEcho, readyInstances } from "./cluster-apps.js";
import { BOUND_MS, LinedCluster, refusals, refused } from "./fencing-support.js";
import { eventually, freePort } from "./harness.js";
import type { Piece } from "./held-line.js";
import { get } from "./router-support.js";

const TIMEOUT_MS = 600_000;

/** The first trip of a commit of placements to the database: a transaction begins, and reads. */
function reads({ text, direction }: Piece): boolean {
  return (
    direction === "there" && /BEGIN ISOLATION LEVEL READ COMMITTED/.test(text) && text.includes("placement")
  );
}

/** The second one: it writes, and commits. */
function writes({ text, direction }: Piece): boolean {
  return direction === "there" && /COMMIT(?!TED)/.test(text) && text.includes("placement");
}

function idsIn(text: string): readonly string[] {
  return [...new Set(text.match(/\bi-[a-z0-9]+\b/g))];
}

/** What begins a commit of placements, but the database does not end it however long it says nothing. */
function withoutIdleTimeout(text: string): string {
  if (!text.includes("placement")) return text;
  return text.replaceAll(/(idle_in_transaction_session_timeout = )(\d+)/g, (_all, name: string, ms: string) =>
    name.concat("0".padEnd(ms.length)),
  );
}

/** A leader stands still (SIGSTOP) for three leases, with something on its way that must not have an effect any more. */
describeWithServices(["registry"], "a leader that was stopped with a write on its way", (places) => {
  async function start(clock?: "right" | "slow"): Promise<LinedCluster> {
    const cluster = await LinedCluster.start(places.DINP_TEST_REGISTRY, clock);
    onTestFinished(() => cluster.dispose(), TIMEOUT_MS);
    return cluster;
  }

  /** How many records and commits of the store name one of these. */
  async function tracesOf(cluster: LinedCluster, names: readonly string[]): Promise<number> {
    const url = cluster.programs.database.url;
    const any = names.map((name) => `'%${name}%'`).join(", ");
    const [row] = await postgresKind.run(
      url,
      `SELECT (SELECT count(*) FROM dinp_records WHERE record_key LIKE ANY (ARRAY[${any}]))
            + (SELECT count(*) FROM dinp_change_log WHERE changes::text LIKE ANY (ARRAY[${any}])) AS found`,
    );
    return Number(row?.["found"]);
  }

  /** Of programs that have said nothing for a while. */
  async function openTransactions(cluster: LinedCluster): Promise<number> {
    const [row] = await postgresKind.run(
      cluster.programs.database.url,
      `SELECT count(*) AS found FROM pg_stat_activity
       WHERE state = 'idle in transaction' AND state_change < now() - interval '1 second'`,
    );
    return Number(row?.["found"]);
  }

  test.each([
    { how: "the database lets its transaction be", lets: true },
    { how: "the database ends its transaction", lets: false },
  ])(
    "the store refuses the commit, and the take-over does not wait for it: $how",
    async ({ lets }) => {
      const cluster = await start();
      const { programs, servers } = cluster;
      if (lets) for (const { store } of servers) store.rewrite = withoutIdleTimeout;
      await programs.agent("n1", "21600-21649");
      await pushEcho(programs, servers[0].program, "shop", 1);
      await readyInstances(programs, servers[0].program, "shop", 1);
      const { leader, other } = await cluster.roles();
      const held = leader.store.hold(writes);
      const asked = programs.dinp(leader.program, ["scale", "shop", "3", "--no-wait"]);
      const late = idsIn(await held);
      expect(late).toHaveLength(2);
      const { threeLeases } = await cluster.stop({ leader, other });
      if (lets) expect(await openTransactions(cluster)).toBeGreaterThan(0);
      leader.link.cut();
      await programs.connected(other.program, "n1");
      if (!lets) await readyInstances(programs, other.program, "shop", 3);
      await threeLeases;
      await leader.store.letGo(/ROLLBACK|COMMIT/);
      expect(await tracesOf(cluster, late)).toBe(0);
      leader.program.resume();
      await refused(leader, "store");
      const after = await readyInstances(programs, other.program, "shop", 3);
      expect(await tracesOf(cluster, late)).toBe(0);
      expect(await tracesOf(cluster, idsOf(after))).toBeGreaterThan(0);
      expect(await programs.instancesThatRun()).toEqual(idsOf(after));
      expect(await refusals(other, "store")).toBe(0);
      await asked;
    },
    TIMEOUT_MS,
  );

  test(
    "the store refuses a plan that was made before, of a leader whose clock stood still",
    async () => {
      const cluster = await start("slow");
      const { programs, servers } = cluster;
      await programs.agent("n1", "21650-21699");
      await pushEcho(programs, servers[0].program, "shop", 1);
      await readyInstances(programs, servers[0].program, "shop", 1);
      const { leader, other } = await cluster.roles();
      const held = leader.store.hold(reads);
      const asked = programs.dinp(leader.program, ["scale", "shop", "3", "--no-wait"]);
      const late = idsIn(await held);
      expect(late).toHaveLength(2);
      const { threeLeases } = await cluster.stop({ leader, other });
      leader.link.cut();
      await programs.connected(other.program, "n1");
      await readyInstances(programs, other.program, "shop", 3);
      await threeLeases;
      await leader.store.letGo(/./);
      leader.program.resume();
      await refused(leader, "store");
      const after = await readyInstances(programs, other.program, "shop", 3);
      expect(await tracesOf(cluster, late)).toBe(0);
      expect(await programs.instancesThatRun()).toEqual(idsOf(after));
      expect(await refusals(other, "store")).toBe(0);
      await asked;
    },
    TIMEOUT_MS,
  );

  test(
    "the route table refuses the routes",
    async () => {
      const cluster = await start();
      const { programs, servers } = cluster;
      await programs.agent("n1", "21700-21749");
      const router = await programs.router("r1");
      await pushEcho(programs, servers[0].program, "shop", 1);
      const [instance] = await readyInstances(programs, servers[0].program, "shop", 1);
      const answers = (host: string): Promise<string> =>
        get(router.port, host).then(({ status = 0, body }) => (status === 200 ? body : String(status)));
      const answering = (host: string, answer = instance?.id): Promise<boolean> =>
        eventually(`${String(answer)} at ${host}`, async () => (await answers(host)) === answer, BOUND_MS);
      await answering("shop.apps.test");
      const { leader, other } = await cluster.roles();
      const held = leader.table.hold(
        ({ text, direction }) => direction === "there" && text.includes("late.example.com"),
      );
      const asked = programs.dinp(leader.program, [
        "domains",
        "add",
        "shop",
        "late.example.com",
        "--no-wait",
      ]);
      await held;
      const { threeLeases } = await cluster.stop({ leader, other });
      // It publishes that domain itself; then the domain is no longer wanted.
      await answering("late.example.com");
      await programs.ok(other.program, ["domains", "remove", "shop", "late.example.com", "--no-wait"]);
      await programs.ok(other.program, ["domains", "add", "shop", "new.example.com", "--no-wait"]);
      await answering("new.example.com");
      await answering("late.example.com", "404");
      const table = createRedisRouteTable({
        redis: { url: programs.redis.url },
        cluster: programs.id,
        random: createSystemRandom(),
      });
      onTestFinished(() => table.close());
      const before = await table.snapshot();
      await threeLeases;
      await leader.table.letGo(/./);
      expect(await table.snapshot()).toEqual(before);
      leader.program.resume();
      await refused(leader, "table");
      expect(await table.snapshot()).toEqual(before);
      expect(await answers("late.example.com")).toBe("404");
      expect(await answers("new.example.com")).toBe(instance?.id);
      expect(await refusals(other, "table")).toBe(0);
      await asked;
    },
    TIMEOUT_MS,
  );

  test(
    "an agent refuses the command",
    async () => {
      const cluster = await start("slow");
      const { programs, servers } = cluster;
      const observe = `127.0.0.1:${String(await freePort())}`;
      const agentRefusals = (): Promise<number> => metric(`http://${observe}`, "dinp_agent_fenced_total");
      await programs.agent("n1", "21750-21799", "--observe-listen", observe);
      await pushEcho(programs, servers[0].program, "shop", 1);
      await readyInstances(programs, servers[0].program, "shop", 1);
      const { leader, other } = await cluster.roles();
      const command = leader.link.hold(
        ({ text, direction }) => direction === "back" && text.includes('"assign":[{'),
      );
      const asked = programs.dinp(leader.program, ["scale", "shop", "2", "--no-wait"]);
      await command;
      // It is not told otherwise: what it writes arrives nowhere.
      void leader.store.hold(({ text }) => /BEGIN ISOLATION LEVEL READ COMMITTED/.test(text));
      void leader.table.hold(() => true);
      const { threeLeases } = await cluster.stop({ leader, other });
      leader.link.cut();
      await leader.link.letGo(/./);
      await programs.connected(other.program, "n1");
      const two = await readyInstances(programs, other.program, "shop", 2);
      // The agent cannot reach the one that leads now, and comes back to the one that did, which has a third instance to start.
      const dialled = leader.link.dialled();
      leader.link.heal();
      other.link.cut();
      await programs.ok(other.program, ["scale", "shop", "3", "--no-wait"]);
      await eventually(
        "the third placement",
        async () => (await instancesOf(programs, other.program, "shop")).length === 3,
        BOUND_MS,
      );
      await dialled;
      expect(await agentRefusals()).toBe(0);
      await threeLeases;
      leader.program.resume();
      await eventually("the refusal", async () => (await agentRefusals()) > 0, BOUND_MS);
      expect(await programs.instancesThatRun()).toEqual(idsOf(two));
      leader.link.cut();
      other.link.heal();
      await programs.connected(other.program, "n1");
      const three = await readyInstances(programs, other.program, "shop", 3);
      expect(await programs.instancesThatRun()).toEqual(idsOf(three));
      await Promise.all([leader.store.letGo(/./), leader.table.letGo(/./)]);
      await asked;
    },
    TIMEOUT_MS,
  );
});
