import { afterEach, expect, it } from "vitest";
import { Agent, InstancePorts, defaultCheck, type Assignment, type Release } from "@dinp/core";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { until } from "../adapters/support/until.js";
import { LinkRig, memoryState, quiet } from "../adapters/websocket-support/link-rig.js";
import { Accepting } from "../adapters/websocket-support/sessions.js";
import { ScriptedProber, ScriptedRuntime } from "./scripted-runtime.js";

const clock = createSystemClock();
const random = createSystemRandom();
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const release: Release = {
  ...{ id: "rel-1", appId: "app-1", number: 1, template: "node", command: ["node"], requires: [], env: {} },
  ...{ image: { repository: "web", digest: `sha256:${"a".repeat(64)}` }, manifestEnv: {}, memoryMb: 64 },
  ...{ cpuMillis: 100, check: defaultCheck, stopGraceMs: 1, drainMs: 1, buildId: null, createdAt: 1 },
  ...{ createdBy: "someone", note: "" },
};

function assignment(instanceId: string): Assignment {
  const placement = {
    ...{ instanceId, appId: "app-1", releaseId: "rel-1", nodeId: "n1", desired: "running" as const },
    ...{ reason: "", createdAt: 1, changedAt: 1 },
  };
  return { placement, appName: "web", release, lastStatus: null };
}

it("66 over the network, an agent that was started anew refuses what a leader before the last one sends", async () => {
  const rig = await LinkRig.start();
  const accepting = new Accepting(rig.link);
  closers.push(
    () => rig.close(),
    () => accepting.stop(),
  );
  const [runtime, state] = [new ScriptedRuntime(), memoryState()];
  const link = rig.client({ state });
  let fenced = 0;
  const start = (): (() => Promise<void>) => {
    const range = { first: 20_000, last: 20_100 };
    const ports = new InstancePorts({ range, isFree: () => Promise.resolve(true), state, random });
    const shared = { runtime, prober: new ScriptedProber(), link, ports, state, clock, random };
    const onFenced = (): void => {
      fenced += 1;
    };
    const agent = new Agent({ nodeId: "n1", address: "127.0.0.1", ...shared, logger: quiet, onFenced });
    const stopping = new AbortController();
    const running = agent.run(stopping.signal);
    return async () => {
      stopping.abort();
      await running;
    };
  };
  const stop = start();
  const [first] = await accepting.take(1);
  await first?.send({ epoch: 5, assign: [assignment("i-1")], release: [] });
  await until(() => runtime.started.includes("i-1"), "the start of i-1");
  await stop();
  closers.push(start());
  const [, second] = await accepting.take(2);
  await second?.send({ epoch: 4, assign: [assignment("i-old")], release: [] });
  await second?.send({ epoch: 5, assign: [assignment("i-2")], release: [] });
  await until(() => runtime.started.includes("i-2"), "the start of i-2");
  expect(runtime.started).toEqual(["i-1", "i-2"]);
  expect(fenced).toBe(1);
});
