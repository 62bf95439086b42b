// Runs the built programs: with vitest alone, run `npm run build` first.
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { ids, instancesOf, loginAt, metric, push, ready } from "./cluster-apps.js";
import { TestCluster, type ServerProgram } from "./cluster-support.js";
import { FaultLine, type Holds } from "./fault-line.js";
import { eventually, freePort } from "./harness.js";

const LEASE_MS = 2_500;
const stillClock = fileURLToPath(new URL("still-clock.mjs", import.meta.url));

/** A server whose ways to the database, to Redis and to the agents are lines of the test's. */
interface Lined {
  readonly server: ServerProgram;
  readonly store: FaultLine;
  readonly table: FaultLine;
  readonly link: FaultLine;
}

/**
 * A leader stops (SIGSTOP) with a write on its way, and goes on three leases later. Its own clock stood still meanwhile, as on a
 * machine that was suspended: it believes that it leads, and only what it writes to can refuse it.
 */
describeWithServices(["registry"], "a leader that was stopped with a write on its way", (places) => {
  let cluster: TestCluster;
  let servers: readonly Lined[];

  beforeEach(async () => {
    cluster = await TestCluster.start(places.DINP_TEST_REGISTRY);
    servers = [];
    cluster.nodeFlags = ["--import", stillClock];
    servers = [await lined("s1")];
    const first = at(0).server;
    await cluster.login(first);
    servers = [at(0), await lined("s2")];
    await loginAt(cluster, first, at(1).server);
    cluster.nodeFlags = [];
  }, 180_000);

  afterEach(async () => {
    for (const { store, table, link } of servers) for (const line of [store, table, link]) line.cut();
    await cluster.dispose();
    for (const { store, table, link } of servers) for (const line of [store, table, link]) await line.close();
  }, 180_000);

  function at(index: number): Lined {
    const found = servers[index];
    if (found === undefined) throw new Error("no such server");
    return found;
  }

  async function lined(name: string): Promise<Lined> {
    const linkPort = await freePort();
    const store = await FaultLine.to(cluster.database.port);
    const table = await FaultLine.to(cluster.redis.port);
    const link = await FaultLine.to(linkPort);
    const server = await cluster.server(
      name,
      ...["--lease-ttl", `${String(LEASE_MS)}ms`, "--link-listen", `127.0.0.1:${String(linkPort)}`],
      ...["--link-url", link.url("http://127.0.0.1/").replace(/\/$/, "")],
      ...["--store-url", store.url(cluster.database.url), "--table-url", table.url(cluster.redis.url)],
    );
    return { server: Object.assign(server, { linkUrl: link.url("http://127.0.0.1/") }), store, table, link };
  }

  async function leaderAndOther(): Promise<readonly [Lined, Lined]> {
    const leader = await cluster.leader();
    return leader === at(0).server ? [at(0), at(1)] : [at(1), at(0)];
  }

  /** Stops the leader; gives what lets it go on, once three leases are over and the other one leads. */
  async function stop(leader: Lined, other: Lined, where: string): Promise<() => Promise<void>> {
    const stoppedAt = performance.now();
    await leader.server.pause();
    const threeLeases = new Promise((resolve) => setTimeout(resolve, 3 * LEASE_MS));
    // While the stopped one stands still with all that it holds.
    await eventually(
      "the take-over",
      async () => (await metric(other.server.observeUrl, "dinp_server_leads")) === 1,
    );
    const tookMs = performance.now() - stoppedAt;
    process.stdout.write(
      `stopped ${where}: the other server led after ${tookMs.toFixed(0)} ms of a lease of ${String(LEASE_MS)} ms\n`,
    );
    return async () => {
      await threeLeases;
      leader.server.resume();
    };
  }

  async function refusals(of: Lined): Promise<number> {
    return metric(of.server.observeUrl, 'dinp_server_fenced_total{place="store"}');
  }

  /** A user's change is through, and the next write transactions begin: one renews the lease, the other is the plan's. */
  function planBegins(): Holds {
    const saw = { change: false, commit: false };
    let by = 0;
    return (data, connection, direction) => {
      if (direction === "back") return false;
      const text = data.toString("latin1");
      if (!saw.change && text.includes('"instances":3')) {
        saw.change = true;
        by = connection;
      }
      if (saw.change && connection === by && /COMMIT(?!TED)/.test(text)) {
        saw.commit = true;
        return false;
      }
      return saw.commit && text.includes("BEGIN ISOLATION LEVEL READ COMMITTED");
    };
  }

  /** A placement is written and holds the row of the lease: its COMMIT is on its way. */
  function placementCommits(): Holds {
    const writing = new Set<number>();
    return (data, connection, direction) => {
      if (direction === "back") return false;
      const text = data.toString("latin1");
      if (text.includes("INSERT INTO dinp_records") && text.includes("placement")) writing.add(connection);
      return writing.has(connection) && /COMMIT(?!TED)/.test(text);
    };
  }

  test.each([
    { where: "between plan and commit", holds: planBegins, count: 2 },
    { where: "before COMMIT, with the lease's row locked", holds: placementCommits, count: 1 },
  ])("the store refuses it: $where", { timeout: 240_000 }, async ({ where, holds, count }) => {
    const [leader, other] = await leaderAndOther();
    await cluster.agent("n1", "21500-21549");
    await push(cluster, leader.server, "shop", 1);
    await ready(cluster, leader.server, "shop", 1);
    const held = leader.store.hold(holds(), count);
    await cluster.ok(leader.server, ["scale", "shop", "3", "--no-wait"]);
    await held;
    expect(await refusals(leader)).toBe(0);
    const goOn = await stop(leader, other, where);
    leader.link.cut();
    await cluster.connected(other.server, "n1");
    // What the late plan would have placed is done by the other one, and then no longer wanted.
    await ready(cluster, other.server, "shop", 3);
    await cluster.ok(other.server, ["scale", "shop", "1", "--no-wait"]);
    const after = await ready(cluster, other.server, "shop", 1);
    await goOn();
    leader.store.letGo();
    await eventually("the refusal", async () => (await refusals(leader)) > 0);
    await eventually(
      "its end as a leader",
      async () => (await metric(leader.server.observeUrl, "dinp_server_leads")) === 0,
    );
    process.stdout.write(`refused by the store: ${String(await refusals(leader))}\n`);
    expect(ids(await instancesOf(cluster, other.server, "shop"))).toEqual(ids(after));
    expect(await cluster.instancesThatRun()).toEqual(ids(after));
    expect(await refusals(other)).toBe(0);
  });
});
