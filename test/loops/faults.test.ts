import { createInProcessControlLink } from "@dinp/core/in-process";
import type { AgentHello, Write } from "@dinp/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clock, Cluster, throughout, until } from "./cluster.js";
import { answerLost, FaultyStore, gate, unavailable } from "./faulty-store.js";

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.with();
});

afterEach(() => cluster.dispose());

describe("leadership", () => {
  test("lost to another and regained: nothing is started twice, nothing stopped", async () => {
    await cluster.deploy(2);
    const before = await cluster.untilRouted(2);
    cluster.faulty.leasesDown = true;
    const request = { name: "leader", holder: "thief", ttlMs: 10_000 };
    await until("the lease is stolen", async () => (await cluster.store.tryAcquireLease(request)) !== null);
    await until("the server noticed", () =>
      cluster.warnings.includes("the agent's session failed; it is tried again"),
    );
    const lease = await cluster.store.tryAcquireLease(request);
    if (lease !== null) await cluster.store.releaseLease(lease);
    cluster.faulty.leasesDown = false;
    await cluster.editApp({ instances: 3 });
    await cluster.untilRouted(3);
    const runtime = cluster.runtime();
    expect(runtime.started).toHaveLength(3);
    expect(runtime.stopped).toEqual([]);
    expect(cluster.routed()).toEqual(expect.arrayContaining(before));
  });

  test("a new leader whose view lags starts nothing that ended before it led", async () => {
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    const lagging = new FaultyStore(cluster.store);
    cluster.startServer("second", lagging);
    await until("it follows", () => lagging.snapshots > 0);
    const watch = gate();
    lagging.watchGate = watch.promise;
    await cluster.editApp({ desired: "stopped" });
    const runtime = cluster.runtime();
    await until("stopped and forgotten", () => runtime.instances.size === 0);
    await cluster.stop("server");
    await until("the second leads", () => cluster.warnings.filter((each) => each === "leading").length === 2);
    await throughout("nothing is started", 300, () => runtime.started.length === 1);
    watch.open();
    await cluster.editApp({ desired: "running" });
    await cluster.untilRouted(1);
    expect(runtime.started).toHaveLength(2);
  });

  test("a server that leads before its first view does not undo what operators set", async () => {
    await until("registered", async () => (await cluster.all("node")).length === 1);
    await cluster.stop("server");
    const [node] = await cluster.all("node");
    if (node === undefined) throw new Error("no node");
    await cluster.put("node", { ...node, cordoned: true });
    const view = gate();
    cluster.faulty.snapshotGate = view.promise;
    cluster.startServer();
    const before = cluster.warnings.length;
    await until("it leads", () => cluster.warnings.slice(before).includes("leading"));
    await throughout("still cordoned", 150, async () => (await cluster.all("node"))[0]?.cordoned === true);
    cluster.faulty.snapshotGate = null;
    view.open();
    await throughout("still cordoned", 150, async () => (await cluster.all("node"))[0]?.cordoned === true);
  });
});

describe("a store that fails", () => {
  test("out for seconds: reports are held and written later, nothing stops, no node is called lost", async () => {
    await cluster.stop("server");
    cluster.leaseTtlMs = 60_000;
    cluster.startServer("patient");
    for (const name of ["n2", "n3"]) cluster.startAgent(name);
    await until("three nodes", async () => (await cluster.all("node")).length === 3);
    await cluster.deploy(3);
    const ids = await cluster.untilRouted(3);
    await clock.sleep(cluster.policy.leaderGraceMs);
    cluster.faulty.fail();
    const [sick] = [...cluster.runtime().instances.values()];
    cluster.prober.answer = (port) => (port === sick?.port ? "failure" : "success");
    await throughout("all are routed", 1_500, () => cluster.routed().length === 3);
    cluster.faulty.recover();
    await cluster.untilRouted(2);
    cluster.prober.answer = () => "success";
    await cluster.untilRouted(3);
    expect(cluster.routed()).toEqual(ids);
    const runtimes = [...cluster.runtimes.values()];
    expect(runtimes.flatMap((runtime) => runtime.started)).toHaveLength(3);
    expect(runtimes.flatMap((runtime) => runtime.stopped)).toEqual([]);
  });

  test("a placement whose answer was lost is not made twice, however late the view shows it", async () => {
    const watch = gate();
    let lost = 0;
    cluster.faulty.fault = async (writes, apply) => {
      if (!places(writes) || lost > 0) return apply();
      lost += 1;
      cluster.faulty.watchGate = watch.promise;
      await apply();
      throw answerLost();
    };
    await cluster.deploy(1);
    await until("the answer is lost", () => lost === 1);
    await throughout("one placement", 400, async () => (await cluster.placements()).length <= 1);
    cluster.faulty.watchGate = null;
    watch.open();
    await cluster.untilRouted(1);
    expect(cluster.runtime().started).toHaveLength(1);
  });

  test("a placement that was not made although the answer is unknown is made later", async () => {
    let lost = 0;
    cluster.faulty.fault = (writes, apply) => {
      if (!places(writes) || lost >= 2) return apply();
      lost += 1;
      return Promise.reject(answerLost());
    };
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    expect(cluster.runtime().started).toHaveLength(1);
  });

  test("one app's failed commit does not place another app's instances again", async () => {
    const watch = gate();
    cluster.faulty.fault = async (writes, apply) => {
      if (!places(writes)) return apply();
      if (writes.some((write) => write.op === "check" && write.key === "zzz")) throw unavailable();
      cluster.faulty.watchGate = watch.promise;
      return apply();
    };
    const [id, name] = ["zzz", "zzz"];
    await cluster.deploy(1);
    const [app] = await cluster.all("app");
    const [release] = await cluster.all("release");
    if (app === undefined || release === undefined) throw new Error("not deployed");
    await cluster.put("release", { ...release, id: "zzz-r1", appId: id });
    await cluster.put("app", { ...app, id, name, currentRelease: "zzz-r1" });
    await until("placed", async () => (await cluster.placements()).length > 0);
    await throughout("one placement", 400, async () => (await cluster.placements()).length === 1);
    cluster.faulty.watchGate = null;
    watch.open();
    await cluster.untilRouted(1);
  });

  test("a stop is decided anew when an instance that should have made up for it fails meanwhile", async () => {
    await cluster.deploy(3);
    const ids = await cluster.untilRouted(3);
    let failed: string | undefined;
    cluster.faulty.fault = async (writes, apply) => {
      const drained = writes.flatMap((write) => (isDrain(write) ? [write.value.instanceId] : []));
      if (drained.length > 0 && failed === undefined) {
        failed = ids.find((id) => !drained.includes(id));
        const status = await cluster.store.get("instanceStatus", failed ?? "");
        if (status !== null)
          await cluster.put("instanceStatus", { ...status.value, ready: false, seq: status.value.seq + 1 });
      }
      return apply();
    };
    await cluster.editApp({ instances: 2 });
    await until("one is gone", async () => (await cluster.placements()).length === 2);
    const left = (await cluster.placements()).map(({ instanceId }) => instanceId);
    expect(left.sort()).toEqual(ids.filter((id) => id !== failed).sort());
  });

  test.each([
    ["went through", true],
    ["did not go through", false],
  ])(
    "an outage does not use up a drain that was decided before it, whose commit %s",
    async (_, isApplied) => {
      await cluster.stop("server");
      cluster.leaseTtlMs = 60_000;
      cluster.startServer("patient");
      await cluster.deploy(2, 1, { drainMs: 700 });
      const ids = await cluster.untilRouted(2);
      for (const id of ids) cluster.router?.begin(id);
      cluster.faulty.fault = async (writes, apply) => {
        if (!writes.some(isDrain)) return apply();
        cluster.faulty.fault = null;
        if (isApplied) await apply();
        cluster.faulty.fail();
        throw answerLost();
      };
      await cluster.editApp({ instances: 1 });
      await until("the store is away", () => cluster.faulty.down);
      await throughout("both are routed", 900, () => cluster.routed().length === 2);
      cluster.faulty.recover();
      await cluster.untilRouted(1);
      await throughout("its request goes on", 350, () => cluster.runtime().stopped.length === 0);
      for (const id of ids) cluster.router?.end(id);
      await until("stopped", () => cluster.runtime().stopped.length === 1);
    },
  );

  test("a server can end while it is not known what became of a commit", async () => {
    let asked = 0;
    cluster.faulty.fault = async (writes, apply) => {
      if (asked === 0 && !places(writes)) return apply();
      asked += 1;
      await clock.sleep(1);
      throw asked === 1 ? answerLost() : unavailable();
    };
    await cluster.deploy(1);
    await until("it is tried again", () => asked > 1);
    await cluster.stop("server");
    const before = asked;
    await throughout("it is over", 100, () => asked === before);
  });

  test("what a user wants meanwhile overtakes the rest of a plan whose commits take long", async () => {
    await cluster.deploy(3);
    const ids = await cluster.untilRouted(3);
    const [app] = await cluster.all("app");
    const [release] = await cluster.all("release");
    if (app === undefined || release === undefined) throw new Error("not deployed");
    let isHeld = false;
    cluster.faulty.fault = async (writes, apply) => {
      if (!isHeld && writes.some((write) => write.op === "check" && write.key === "aaa")) {
        isHeld = true;
        await cluster.editApp({ instances: 3 });
        const revision = await cluster.revision();
        await until("the server knows", () => cluster.faulty.dealtWith >= revision);
      }
      return apply();
    };
    const other = { ...app, id: "aaa", name: "aaa", currentRelease: "aaa-r1" };
    await cluster.store.commit([
      { op: "put", kind: "release", value: { ...release, id: "aaa-r1", appId: "aaa" } },
      { op: "put", kind: "app", value: other },
      { op: "put", kind: "app", value: { ...app, instances: 1 } },
    ]);
    await until("the other one runs", () => cluster.routed("aaa.apps.test").length === 3);
    expect(cluster.routed()).toEqual(ids);
    expect(cluster.runtime().stopped).toEqual([]);
  });

  test("a report whose answer was lost is written once", async () => {
    let lost = 0;
    cluster.faulty.fault = async (writes, apply) => {
      const reports = writes.some((write) => write.op === "put" && write.kind === "instanceStatus");
      if (!reports || lost >= 3) return apply();
      lost += 1;
      if (lost !== 2) await apply();
      throw answerLost();
    };
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    expect(cluster.runtime().started).toHaveLength(1);
    expect(lost).toBeGreaterThan(1);
  });

  test("a status that the store always refuses is left out, with an event, and holds up no other", async () => {
    let refused: string | null = null;
    cluster.faulty.fault = (writes, apply) => {
      for (const write of writes) {
        if (write.op !== "put" || write.kind !== "instanceStatus") continue;
        refused ??= write.value.instanceId;
        if (write.value.instanceId === refused) return Promise.reject(new TypeError("no such value"));
      }
      return apply();
    };
    await cluster.deploy(2);
    await cluster.untilRouted(1);
    await until("it is said", async () =>
      (await cluster.all("event")).some((event) => event.type === "report.refused"),
    );
    expect(cluster.routed()).not.toContain(refused);
  });

  test("one that only ever says reset is asked with pauses, and the platform still works", async () => {
    await cluster.stop("server");
    cluster.faulty.resets = true;
    cluster.startServer();
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    const before = cluster.faulty.snapshots;
    await clock.sleep(500);
    expect(cluster.faulty.snapshots - before).toBeLessThan(30);
  });

  test("one that lost its past is filled again although nothing changes, and routers serve the last good one", async () => {
    await cluster.deploy(1);
    const before = await cluster.untilRouted(1);
    await cluster.table.losePast();
    expect(cluster.routed()).toEqual(before);
    await until("filled again", async () => (await cluster.table.snapshot()).routes.length === 1);
    cluster.startRouter("r2");
    expect(await cluster.untilRouted(1)).toEqual(before);
  });

  test("a withdrawn route whose answer was lost still lets the instance go", async () => {
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    const apply = cluster.table.apply.bind(cluster.table);
    let lost = 0;
    cluster.table.apply = async (changes, options) => {
      const version = await apply(changes, options);
      lost += 1;
      if (lost === 1) throw unavailable();
      return version;
    };
    await cluster.editApp({ desired: "stopped" });
    await until("forgotten", () => cluster.runtime().instances.size === 0);
    expect(lost).toBe(1);
  });
});

describe("agents and their runtime", () => {
  test("a runtime that cannot list has not lost its instances, for a new agent neither", async () => {
    await cluster.deploy(2);
    const ids = await cluster.untilRouted(2);
    const runtime = cluster.runtime();
    runtime.listFails = true;
    await throughout("all are routed", 300, () => cluster.routed().length === 2);
    await cluster.stop("n1");
    cluster.startAgent("n1");
    await throughout("all are routed", 300, () => cluster.routed().length === 2);
    runtime.listFails = false;
    await cluster.editApp({ instances: 3 });
    await cluster.untilRouted(3);
    expect(cluster.routed()).toEqual(expect.arrayContaining(ids));
    expect(runtime.started).toHaveLength(3);
    expect(runtime.stopped).toEqual([]);
  });

  test("an agent that cannot read its own notes yet waits for them", async () => {
    await cluster.deploy(1);
    const before = await cluster.untilRouted(1);
    await cluster.stop("n1");
    cluster.state().readFails = true;
    cluster.startAgent("n1");
    const warning = "reading the agent's own notes failed; it is tried again";
    await until("it tried", () => cluster.warnings.includes(warning));
    cluster.state().readFails = false;
    await cluster.editApp({ instances: 2 });
    expect(await cluster.untilRouted(2)).toEqual(expect.arrayContaining(before));
    expect(cluster.runtime().started).toHaveLength(2);
  });

  test("an agent that lost its own notes is still heard", async () => {
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    await cluster.stop("n1");
    cluster.state().values.clear();
    cluster.startAgent("n1");
    cluster.prober.answer = () => "failure";
    await cluster.untilRouted(0);
    cluster.prober.answer = () => "success";
    await cluster.untilRouted(1);
    expect(cluster.runtime().started).toHaveLength(1);
  });

  test("what a node has lost is replaced under a new id, and its port is kept from others", async () => {
    await cluster.put("router", { id: "silent", address: "away", registeredAt: 0 });
    await cluster.deploy(1);
    const [id = ""] = await cluster.untilRouted(1);
    const runtime = cluster.runtime();
    const port = runtime.instances.get(id)?.port ?? 0;
    await cluster.stop("n1");
    runtime.instances.clear();
    cluster.state().values.set("port-cursor", String(port));
    cluster.startAgent("n1");
    await until("replaced", () => cluster.routed().length === 1 && !cluster.routed().includes(id));
    expect(runtime.started.filter((each) => each === id)).toHaveLength(1);
    expect([...runtime.instances.values()].map((each) => each.port)).not.toContain(port);
  });

  test("an orphan that is wanted is adopted, not replaced", async () => {
    await cluster.stop("n1");
    const runtime = cluster.runtime();
    await startOrphan("web-r1");
    cluster.startAgent("n1");
    await until("it is known, and kept although its app is not", async () =>
      (await cluster.all("event")).some((event) => event.message.startsWith("orphan-of-unknown-app")),
    );
    await cluster.deploy(1);
    expect(await cluster.untilRouted(1)).toEqual(["i-orphan"]);
    expect(runtime.started).toEqual(["i-orphan"]);
    expect((await cluster.placements()).map((each) => each.instanceId)).toEqual(["i-orphan"]);
  });

  test("an orphan that nobody may stop is forgotten once it ended by itself", async () => {
    await cluster.dispose();
    cluster = await Cluster.with({ inferredStopsMax: 0 });
    await cluster.stop("n1");
    await startOrphan("web-r0");
    await cluster.deploy(1);
    cluster.startAgent("n1");
    await cluster.untilRouted(1);
    const runtime = cluster.runtime();
    await until("it is known", async () =>
      (await cluster.statuses()).some((status) => status.instanceId === "i-orphan"),
    );
    expect(runtime.stopped).toEqual([]);
    runtime.end("i-orphan", "exited");
    await until("forgotten by all", () => runtime.removed.includes("i-orphan"));
  });

  test("starts that fail keep asking with one port", async () => {
    const runtime = cluster.runtime();
    runtime.startFails = true;
    await cluster.deploy(1);
    await until("three tries", () => runtime.portsAsked.length >= 3);
    expect(new Set(runtime.portsAsked).size).toBe(1);
    await until("its status says why", async () => {
      for await (const { value } of cluster.store.list("instanceStatus"))
        if (/cannot be started yet and is tried again: The test's runtime/.test(value.reason)) return true;
      return false;
    });
    runtime.startFails = false;
    await cluster.untilRouted(1);
  });

  test("a start whose answer was lost is stopped in order, not only forgotten", async () => {
    const runtime = cluster.runtime();
    runtime.startFails = true;
    runtime.startFailsAfterwards = true;
    await cluster.deploy(1);
    await until("started", () => runtime.started.length === 1);
    // Started once it is adopted; without that it would be stopped on the common path.
    await cluster.editApp({ desired: "stopped" });
    await until("forgotten", () => runtime.instances.size === 0);
    expect(runtime.stopped).toHaveLength(1);
  });

  test("a runtime whose watch ends is asked with pauses", async () => {
    await cluster.stop("n1");
    const runtime = cluster.runtime();
    runtime.watchEnds = true;
    cluster.startAgent("n1");
    await cluster.deploy(1);
    const [id = ""] = await cluster.untilRouted(1);
    runtime.end(id, "exited");
    await until("replaced", () => runtime.started.length === 2);
  });
});

describe("the link within a process", () => {
  test("one server's end does not deafen the next one", async () => {
    const link = createInProcessControlLink();
    const [first, second] = [new AbortController(), new AbortController()];
    const firstAnswer = link.accept({ signal: first.signal })[Symbol.asyncIterator]().next();
    const secondAnswer = link.accept({ signal: second.signal })[Symbol.asyncIterator]().next();
    first.abort();
    await firstAnswer;
    const capacity = { runtime: "none", memoryMb: 1, cpuMillis: 1, programs: null, memoryLimit: "" };
    const hello: AgentHello = { nodeId: "n1", address: "here", capacity, labels: {} };
    const timeout = AbortSignal.timeout(60_000);
    const unasked = (): AsyncIterable<never> => {
      throw new Error("not asked for");
    };
    const session = await link.connect(hello, {
      logs: unasked,
      exec: unasked,
      run: unasked,
      signal: timeout,
    });
    const arrived = await secondAnswer;
    expect(arrived.done === true ? null : arrived.value.hello.nodeId).toBe("n1");
    await session.close();
    second.abort();
  });
});

function isDrain(write: Write): write is Extract<Write, { op: "put"; kind: "placement" }> {
  return write.op === "put" && write.kind === "placement" && write.value.desired === "draining";
}

function places(writes: readonly Write[]): boolean {
  return writes.some(
    (write) => write.op === "put" && write.kind === "placement" && write.ifRevision === "absent",
  );
}

async function startOrphan(releaseId: string): Promise<void> {
  await cluster.runtime().start({
    ...{ instanceId: "i-orphan", appId: "web", appName: "web", releaseId, command: [], env: {} },
    ...{ image: { repository: "web", digest: "" }, memoryMb: 1, cpuMillis: 1, port: 20_001 },
  });
}
