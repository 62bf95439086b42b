import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ImageRef } from "@dinp/core";
import { clock, Cluster, throughout, until } from "./cluster.js";
import { gate } from "./faulty-store.js";

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.with();
});

afterEach(() => cluster.dispose());

describe("an instance's life", () => {
  test("started, ready, routed; a stop waits for a busy router, then its port is free", async () => {
    await cluster.deploy(1);
    const [id = ""] = await cluster.untilRouted(1);
    const runtime = cluster.runtime();
    cluster.router?.begin(id);
    await cluster.editApp({ desired: "stopped" });
    await cluster.untilRouted(0);
    await throughout("it runs while a request is in flight", 150, () => runtime.running.includes(id));
    expect((await cluster.placements()).map((each) => each.desired)).toEqual(["draining"]);
    cluster.router?.end(id);
    await until("forgotten", () => runtime.removed.includes(id));
    expect(runtime.stopped).toEqual([id]);
    await until("no records", async () => (await cluster.statuses()).length === 0);
    expect(await cluster.placements()).toEqual([]);
  });

  test("a router that never acknowledges holds a drain up to its bound, and the port for good", async () => {
    await cluster.put("router", { id: "silent", address: "away", registeredAt: 0 });
    await cluster.deploy(1, 1, { drainMs: 150 });
    const [id = ""] = await cluster.untilRouted(1);
    await cluster.editApp({ desired: "stopped" });
    const runtime = cluster.runtime();
    await until("stopped after the bound", () => runtime.stopped.includes(id));
    await throughout("not forgotten", 200, () => !runtime.removed.includes(id));
    await cluster.store.commit([{ op: "delete", kind: "router", key: "silent" }]);
    await until("forgotten once the operator forgot the router", () => runtime.removed.includes(id));
  });

  test("its node keeps the images that its app may go back to, and what it was asked for lately", async () => {
    const digest = (number: number): string => `sha256:${String(number).repeat(64)}`;
    for (const number of [1, 2])
      await cluster.deploy(1, number, { image: { repository: "web", digest: digest(number) } });
    await cluster.untilRouted(1);
    const runtime = cluster.runtime();
    await cluster.stop("n1");
    cluster.startAgent("n1");
    await until("the new session's list", () => runtime.pruned.length === 2);
    expect(runtime.pruned[0]).toEqual([]);
    expect([...new Set(runtime.pruned[1])].sort()).toEqual([digest(1), digest(2)]);

    await cluster.editApp({ desired: "stopped" });
    await until("forgotten", async () => (await cluster.placements()).length === 0);
    runtime.pruneFails = true;
    await cluster.stop("server");
    cluster.startServer("another");
    await until("another leader's list", () => runtime.pruned.length === 3);
    expect(runtime.pruned[2]).toEqual([digest(2)]);
    await until("the failure is told", () =>
      cluster.warnings.some((message) => message.includes("could not be removed")),
    );
  });

  test("its node fetches images that were just built: one at a time, a bounded number, and ends with them", async () => {
    const image = (number: number): ImageRef => ({
      repository: "web",
      digest: `sha256:${String(number).padStart(64, "0")}`,
    });
    const runtime = cluster.runtime();
    await until("the node at work", async () => (await cluster.all("node")).length === 1);
    let open = (): void => undefined;
    runtime.imageGate = new Promise((resolve) => {
      open = resolve;
    });
    for (let number = 0; number < 20; number += 1) cluster.agent().expectImage(image(number));
    await until("the first fetch", () => runtime.imageFetches === 1);
    await throughout("no second fetch", 100, () => runtime.imageFetches === 1);
    open();
    await until("those that waited", () => runtime.imageFetches === 9);
    await throughout("nothing beyond them", 100, () => runtime.imageFetches === 9);
    runtime.imageGate = new Promise(() => undefined);
    cluster.agent().expectImage(image(20));
    await until("one more fetch", () => runtime.imageFetches === 10);
    await cluster.stop("n1");
  });

  test("once all is well nothing is written any more", async () => {
    await cluster.deploy(2);
    await cluster.untilRouted(2);
    await until("the rollout is complete", async () =>
      (await cluster.all("rollout")).every((rollout) => rollout.state === "complete"),
    );
    const revision = await cluster.revision();
    await throughout("no commit", 1_000, async () => (await cluster.revision()) === revision);
  });

  test("reasons that change with every probe do not make a commit each", async () => {
    let probes = 0;
    cluster.prober.answer = () => "failure";
    cluster.prober.reason = () => {
      probes += 1;
      return `status ${String(500 + (probes % 2))}`;
    };
    await cluster.deploy(1);
    await until("the reason is told", async () => {
      const [status] = await cluster.statuses();
      return status?.reason.startsWith("status") === true;
    });
    const revision = await cluster.revision();
    const before = probes;
    await until("ten more probes", () => probes >= before + 10);
    expect(await cluster.revision()).toBe(revision);
    cluster.prober.answer = () => "success";
    await cluster.untilRouted(1);
  });

  test("one that is not ready in time is stopped, and says so", async () => {
    cluster.prober.answer = () => "failure";
    await cluster.deploy(1, 1, {
      check: { ...(await checkOf()), startupMs: 200 },
    });
    await until("a rollout with its reason", async () =>
      (await cluster.all("rollout")).some((rollout) => rollout.state === "failed"),
    );
    const [rollout] = await cluster.all("rollout");
    expect(rollout?.reason).toContain("not ready within 0.2 s of its start: refused");
    const [crash] = await cluster.all("crash");
    expect(crash?.lastCause).toBe("startup");
  });

  test("a prober that cannot try says nothing about the instance, however long", async () => {
    cluster.prober.answer = () => "unknown";
    await cluster.deploy(1, 1, { check: { ...(await checkOf()), startupMs: 100 } });
    const runtime = cluster.runtime();
    await until("it runs", () => runtime.running.length === 1);
    await throughout("it is not stopped", 400, () => runtime.stopped.length === 0);
    cluster.prober.answer = () => "success";
    await cluster.untilRouted(1);
  });

  test("a bad release goes back, a good one replaces without a gap", async () => {
    await cluster.deploy(2);
    const old = await cluster.untilRouted(2);
    await cluster.deploy(2, 2);
    await until("the new release serves", () => {
      const now = cluster.routed();
      if (now.length < 2) throw new Error("fewer than wanted were routed");
      return now.length === 2 && now.every((id) => !old.includes(id));
    });
  });

  test("scaled while it rolls out", async () => {
    await cluster.deploy(4);
    await cluster.untilRouted(4);
    await cluster.deploy(4, 2);
    await cluster.editApp({ instances: 1 });
    await until("one of the new release", async () => {
      const placed = await cluster.placements();
      return placed.length === 1 && placed[0]?.releaseId === "web-r2" && cluster.routed().length === 1;
    });
    await cluster.editApp({ instances: 3 });
    await cluster.untilRouted(3);
  });

  test("an app deleted while its image is fetched is gone although the image never comes", async () => {
    const image = gate();
    cluster.runtime().imageGate = image.promise;
    await cluster.deploy(2);
    await until("the fetch", () => cluster.runtime().imageFetches === 2);
    await cluster.editApp({ deletedAt: clock.now() });
    await until("gone", async () => (await cluster.all("app")).length === 0);
    expect(cluster.runtime().started).toEqual([]);
    image.open();
  });

  test("an app deleted while it rolls out is gone with all that ran", async () => {
    await cluster.deploy(3);
    await cluster.untilRouted(3);
    await cluster.deploy(3, 2);
    await until("the new release runs", () => cluster.runtime().started.length > 3);
    await cluster.editApp({ deletedAt: clock.now() });
    await until("gone", async () => (await cluster.all("app")).length === 0);
    await until("nothing is left", () => cluster.runtime().instances.size === 0);
    expect(await cluster.all("release")).toEqual([]);
    expect(await cluster.all("rollout")).toEqual([]);
    expect(cluster.routed()).toEqual([]);
  });

  test("a cordoned node keeps what it has and gets nothing new", async () => {
    await cluster.deploy(1);
    await cluster.untilRouted(1);
    const node = await cluster.store.get("node", "n1");
    if (node === null) throw new Error("no node");
    await cluster.put("node", { ...node.value, cordoned: true });
    await cluster.editApp({ instances: 3 });
    await until("a refusal that names it", async () =>
      (await cluster.all("event")).some((event) => event.message.includes("n1: is cordoned")),
    );
    expect(cluster.runtime().started).toHaveLength(1);
    cluster.startAgent("n2");
    await cluster.untilRouted(3);
    expect(cluster.runtime("n2").started).toHaveLength(2);
  });
});

describe("crashes", () => {
  test("one that ends by itself is replaced, counted once, and waits longer each time", async () => {
    await cluster.deploy(1);
    const runtime = cluster.runtime();
    for (let i = 1; i <= 3; i += 1) {
      const [id = ""] = await cluster.untilRouted(1);
      runtime.end(id, "exited");
      await until("counted and replaced", async () => {
        const [crash] = await cluster.all("crash");
        return crash?.failures === i && runtime.started.length === i + 1;
      });
      await until("routed anew", () => cluster.routed().length === 1 && !cluster.routed().includes(id));
    }
    await until("forgotten", () => runtime.instances.size === 1);
    const failed = (await cluster.all("event")).filter((event) => event.type === "instance.failed");
    expect(failed).toHaveLength(3);
  });

  test("67 an earlier leader whose clock was ahead does not hold the next start back", async () => {
    await cluster.deploy(1);
    const [id = ""] = await cluster.untilRouted(1);
    await cluster.put("crash", {
      ...{ releaseId: "web-r1", appId: "web", failures: 5, lastAt: clock.now() + 3_600_000 },
      ...{ lastInstanceId: id, lastCause: "exited", lastReason: "it ended", logTail: [] },
    });
    await cluster.editApp({ instances: 2 });
    await cluster.untilRouted(2);
  });

  test("67 a node whose clock is ahead does not hold the next start back", async () => {
    await cluster.deploy(1);
    const runtime = cluster.runtime();
    const ahead = 3_600_000;
    for (let i = 1; i <= 2; i += 1) {
      const [id = ""] = await cluster.untilRouted(1);
      const instance = runtime.instances.get(id);
      if (instance === undefined) throw new Error("not there");
      const exit = { at: clock.now() + ahead, cause: "exited", code: 1, signal: null } as const;
      runtime.instances.set(id, {
        ...instance,
        state: "exited",
        exit: { ...exit, message: "ended", logTail: [] },
      });
      await until("replaced", () => runtime.started.length === i + 1);
      await until("routed anew", () => cluster.routed().length === 1 && !cluster.routed().includes(id));
    }
  });
});

async function checkOf(): Promise<import("@dinp/core").HealthCheck> {
  const { defaultCheck } = await import("@dinp/core");
  return { ...defaultCheck, intervalMs: 50, timeoutMs: 50 };
}
