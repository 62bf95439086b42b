import {
  type CommitOptions,
  type EventRecord,
  isDinpError,
  monitorLease,
  type Prober,
  type Revision,
  type Withdrawal,
  type Write,
} from "@dinp/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clock, Cluster, throughout, until } from "./cluster.js";
import { FaultyStore, gate } from "./faulty-store.js";
import { ScriptedProber } from "./scripted-runtime.js";

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.with();
});

afterEach(() => cluster.dispose());

/** A prober for which the instances that it is told of do not answer. */
class Outlook extends ScriptedProber {
  readonly #away = new Set<number>();
  #all = false;

  constructor() {
    super();
    this.answer = (port) => (this.#all || this.#away.has(port) ? "failure" : "success");
  }

  async lose(...ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#away.add(await portOf(id));
  }

  loseAll(): void {
    this.#all = true;
  }

  findAgain(): void {
    this.#away.clear();
    this.#all = false;
  }
}

/** Commits arrive although whoever sent them has given up. */
class LateStore extends FaultyStore {
  override commit(
    writes: readonly Write[],
    { fencing }: CommitOptions = {},
  ): Promise<{ readonly revision: Revision }> {
    return super.commit(writes, fencing === undefined ? {} : { fencing });
  }
}

async function portOf(id: string): Promise<number> {
  const status = (await cluster.statuses()).find(({ instanceId }) => instanceId === id);
  return status?.endpoint?.port ?? 0;
}

const withdrawals = (): Promise<Withdrawal[]> => cluster.all("withdrawal");

async function events(type: string): Promise<EventRecord[]> {
  return (await cluster.all("event")).filter((event) => event.type === type);
}

/** What the platform does with instances: nothing of it is a monitor's. */
async function course(): Promise<unknown> {
  const placed = (await cluster.placements()).map(({ instanceId, desired }) => `${instanceId} ${desired}`);
  const { running, stopped } = cluster.runtime();
  return { placed: placed.sort(), running: [...running].sort(), stopped: [...stopped] };
}

/** An app beside `web` with instances of its own. */
async function deployOther(instances: number): Promise<void> {
  const [release] = await cluster.all("release");
  const [app] = await cluster.all("app");
  if (release === undefined || app === undefined) throw new Error("deploy web first");
  await cluster.put("release", { ...release, id: "other-r1", appId: "other" });
  await cluster.put("app", { ...app, id: "other", name: "other", instances, currentRelease: "other-r1" });
  await until("the other app", () => cluster.routed("other.apps.test").length === instances);
}

describe("an instance that answers its agent and not the monitor", () => {
  test("goes off its routes and comes back, and nothing is stopped, started or placed for it", async () => {
    await cluster.deploy(3);
    const [id = "", ...others] = await cluster.untilRouted(3);
    const before = await course();
    const outlook = new Outlook();
    const state = cluster.startMonitor("m1", { prober: outlook });
    await outlook.lose(id);
    expect(await cluster.untilRouted(2)).toEqual(others);
    const [withdrawal] = await withdrawals();
    expect(withdrawal).toMatchObject({ instanceId: id, appId: "web", monitorId: "m1" });
    expect(withdrawal?.reason).toMatch(
      /^\d+ probes in a row from outside failed, the last: refused after 1 ms$/,
    );
    const [told] = await events("instance.withdrawn");
    expect(told).toMatchObject({ instanceId: id, appName: "web", nodeId: "n1", actor: "monitor/m1" });
    expect(state()).toMatchObject({ isWorking: true, instances: 3, failing: 1, withdrawn: 1 });
    await throughout("the platform is as it was", 300, async () => {
      expect(await course()).toEqual(before);
      return cluster.routed().length === 2;
    });
    outlook.findAgain();
    await cluster.untilRouted(3);
    expect(await withdrawals()).toEqual([]);
    expect((await events("instance.returned")).map(({ message }) => message)).toEqual([
      "back on its routes: it answers its monitor again",
    ]);
    expect(await course()).toEqual(before);
  });

  test("makes no commits while nothing changes", async () => {
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const outlook = new Outlook();
    cluster.startMonitor("m1", { prober: outlook });
    await outlook.lose(id);
    await cluster.untilRouted(2);
    await until("the rollout is complete", async () =>
      (await cluster.all("rollout")).every((rollout) => rollout.state === "complete"),
    );
    const revision = await cluster.revision();
    await throughout("no commit", 1_000, async () => (await cluster.revision()) === revision);
  });

  test("stays on its routes when fewer than half of its app would, and is told of once", async () => {
    await cluster.deploy(1);
    const [id = ""] = await cluster.untilRouted(1);
    await deployOther(2);
    const outlook = new Outlook();
    cluster.startMonitor("m1", { prober: outlook });
    await outlook.lose(id);
    await until("the event", async () => (await events("instance.unreachable")).length > 0);
    await throughout("once", 400, async () => (await events("instance.unreachable")).length === 1);
    expect(cluster.routed()).toEqual([id]);
    expect(await withdrawals()).toEqual([]);
  });

  test("leaves no record behind when it goes", async () => {
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const outlook = new Outlook();
    cluster.startMonitor("m1", { prober: outlook });
    await outlook.lose(id);
    await cluster.untilRouted(2);
    await cluster.editApp({ desired: "stopped" });
    await until("no records", async () => (await cluster.statuses()).length === 0);
    await until("no withdrawal", async () => (await withdrawals()).length === 0);
    expect(await events("instance.returned")).toEqual([]);
  });

  test("is not withdrawn by the view before its agent's last word", async () => {
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const store = new FaultyStore(cluster.store);
    const outlook = new Outlook();
    let conflicts = 0;
    store.fault = async (writes, apply) => {
      if (!writes.some(({ op, kind }) => op === "put" && kind === "withdrawal")) return await apply();
      const status = await cluster.store.get("instanceStatus", id);
      if (status !== null)
        await cluster.put("instanceStatus", { ...status.value, reason: "changed meanwhile" });
      try {
        return await apply();
      } catch (error) {
        if (isDinpError(error, "DINP_CONFLICT")) conflicts += 1;
        store.fault = null;
        throw error;
      }
    };
    cluster.startMonitor("m1", { prober: outlook, store });
    await outlook.lose(id);
    await cluster.untilRouted(2);
    expect(conflicts).toBe(1);
    expect(await events("instance.withdrawn")).toHaveLength(1);
  });
});

describe("a monitor that is cut off from all instances", () => {
  test("withdraws nothing, and says so once", async () => {
    await cluster.deploy(4);
    await cluster.untilRouted(4);
    const outlook = new Outlook();
    const state = cluster.startMonitor("m1", { prober: outlook });
    await until("all seen", () => state().instances === 4);
    outlook.loseAll();
    await until("its event", async () => (await events("monitor.suspended")).length > 0);
    await throughout("all stay routed", 500, () => cluster.routed().length === 4);
    expect(await events("monitor.suspended")).toHaveLength(1);
    expect(await events("instance.withdrawn")).toEqual([]);
    expect(state()).toMatchObject({ isSuspended: true, failing: 4, withdrawn: 0 });
    outlook.findAgain();
    await until("it judges again", async () => (await events("monitor.resumed")).length > 0);
    expect(state().isSuspended).toBe(false);
  });

  test("gives back what it withdrew", async () => {
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const outlook = new Outlook();
    cluster.startMonitor("m1", { prober: outlook });
    await outlook.lose(id);
    await cluster.untilRouted(2);
    outlook.loseAll();
    await cluster.untilRouted(3);
    await throughout("all stay routed", 300, () => cluster.routed().length === 3);
    const [returned] = await events("instance.returned");
    expect(returned?.message).toMatch(/most probes of its monitor fail at once, \d of 3/);
  });
});

describe("a monitor that dies", () => {
  test("withdraws nothing for longer than its lease", async () => {
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const store = new FaultyStore(cluster.store);
    const outlook = new Outlook();
    const state = cluster.startMonitor("m1", { prober: outlook, store });
    await outlook.lose(id);
    await cluster.untilRouted(2);
    await throughout("it stays withdrawn", 2 * cluster.leaseTtlMs, () => cluster.routed().length === 2);
    store.down = true;
    store.leasesDown = true;
    await cluster.untilRouted(3);
    expect(await withdrawals()).toEqual([]);
    expect((await events("instance.returned")).map(({ actor, message }) => ({ actor, message }))).toEqual([
      { actor: "leader", message: "back on its routes: m1, which withdrew it, is not there any more" },
    ]);
    expect(state().isWorking).toBe(false);
    store.down = false;
    store.leasesDown = false;
    await cluster.untilRouted(2);
  });

  test("is followed by its next run, which keeps what it withdrew", async () => {
    // Longer than a machine that is busy keeps a renewal waiting: a lease that runs out gives back what was withdrawn.
    cluster.leaseTtlMs = 6_000;
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const outlook = new Outlook();
    cluster.startMonitor("one run", { monitorId: "m1", prober: outlook });
    await outlook.lose(id);
    await cluster.untilRouted(2);
    const standby = cluster.startMonitor("the next", { monitorId: "m1", prober: outlook });
    await throughout("it stands by", 300, () => !standby().isWorking);
    await cluster.stop("server");
    await cluster.stop("one run");
    await until("it works", () => standby().isWorking);
    cluster.startServer();
    await throughout("it stays withdrawn", 400, () => cluster.routed().length === 2);
    expect(await events("instance.withdrawn")).toHaveLength(1);
    outlook.findAgain();
    await cluster.untilRouted(3);
  });

  test("is followed by a run that judges nothing before it has seen all, lest it mistrust itself for what it sees first", async () => {
    cluster.leaseTtlMs = 6_000;
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const outlook = new Outlook();
    cluster.startMonitor("one run", { monitorId: "m1", prober: outlook });
    await outlook.lose(id);
    await cluster.untilRouted(2);
    const answers = gate();
    let failures = 0;
    const prober: Prober = {
      probe: async (target) => {
        const result = await outlook.probe(target);
        if (result.outcome === "failure") failures += 1;
        else await answers.promise;
        return result;
      },
    };
    cluster.startMonitor("the next", { monitorId: "m1", prober });
    await cluster.stop("one run");
    await until("it has probed what was withdrawn", () => failures >= 5);
    expect(cluster.routed()).toHaveLength(2);
    answers.open();
    await throughout("it stays withdrawn", 200, () => cluster.routed().length === 2);
    expect(await events("monitor.suspended")).toEqual([]);
    outlook.findAgain();
    await cluster.untilRouted(3);
  });

  test("commits nothing late: its lease fences it", async () => {
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const store = new LateStore(cluster.store);
    const outlook = new Outlook();
    const held = gate();
    let late: unknown = null;
    store.fault = async (writes, apply) => {
      if (!writes.some(({ op, kind }) => op === "put" && kind === "withdrawal")) return await apply();
      await held.promise;
      try {
        return await apply();
      } catch (error) {
        late = error;
        throw error;
      }
    };
    const state = cluster.startMonitor("m1", { prober: outlook, store });
    await outlook.lose(id);
    await until("it works", () => state().isWorking);
    store.leasesDown = true;
    const name = monitorLease("m1");
    await until("its lease has run out", async () => {
      const taken = await cluster.store.tryAcquireLease({ name, holder: "test", ttlMs: 60_000 });
      return taken !== null;
    });
    held.open();
    await until("the late commit", () => late !== null);
    expect(isDinpError(late, "DINP_FENCED")).toBe(true);
    expect(await withdrawals()).toEqual([]);
  });
});

describe("several monitors", () => {
  test("one is enough, and each takes back only what it said itself", async () => {
    await cluster.deploy(3);
    const [id = ""] = await cluster.untilRouted(3);
    const [here, there] = [new Outlook(), new Outlook()];
    cluster.startMonitor("m1", { prober: here });
    cluster.startMonitor("m2", { prober: there });
    await here.lose(id);
    await cluster.untilRouted(2);
    await throughout("the one who sees it takes nothing back", 300, () => cluster.routed().length === 2);
    await there.lose(id);
    await until("both say so", async () => (await withdrawals()).length === 2);
    here.findAgain();
    await until("one says so", async () => (await withdrawals()).length === 1);
    await throughout("it is still withdrawn", 300, () => cluster.routed().length === 2);
    there.findAgain();
    await cluster.untilRouted(3);
  });

  test("that are broken and withdraw everything leave half of each app's instances", async () => {
    await cluster.deploy(5);
    const ids = await cluster.untilRouted(5);
    const leases = await Promise.all(
      ["m1", "m2"].map((id) =>
        cluster.store.tryAcquireLease({ name: monitorLease(id), holder: id, ttlMs: 60_000 }),
      ),
    );
    expect(leases).not.toContain(null);
    const before = await course();
    const since = clock.now();
    const writes = ids.flatMap((instanceId): Write[] =>
      ["m1", "m2"].map((monitorId) => ({
        ...{ op: "put", kind: "withdrawal" },
        value: { instanceId, appId: "web", monitorId, since, reason: "broken" },
      })),
    );
    await cluster.store.commit(writes);
    await cluster.untilRouted(3);
    await throughout("three stay", 300, () => cluster.routed().length === 3);
    expect(await course()).toEqual(before);
  });
});
