import { defaultCheck, type ExecEvent, type Release } from "@dinp/core";
import { createSystemClock } from "@dinp/core/system";
import { expect, test } from "vitest";
import { agentServices } from "../../src/core/loops/agent-services.js";
import { NodeImages } from "../../src/core/loops/node-images.js";
import { ScriptedRuntime } from "./scripted-runtime.js";

const release: Release = {
  ...{ id: "web-r1", appId: "web", number: 1, template: "node", command: ["serve"], requires: [] },
  image: { repository: "web", digest: `sha256:${"1".repeat(64)}` },
  ...{ env: {}, manifestEnv: {}, memoryMb: 64, cpuMillis: 10, stopGraceMs: 100, drainMs: 100 },
  ...{ check: defaultCheck, buildId: null, createdAt: 0, createdBy: "admin", note: "" },
};

async function ranWith(runtime: ScriptedRuntime): Promise<ExecEvent[]> {
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const images = new NodeImages({ runtime, clock: createSystemClock(), logger });
  const { run } = agentServices("n1", runtime, images);
  const signal = new AbortController().signal;
  const events: ExecEvent[] = [];
  for await (const event of run({ runId: "run-1", appName: "web", release, command: ["echo"], signal }))
    events.push(event);
  return events;
}

test("a one-off whose image was just removed fetches it again, once", async () => {
  const runtime = new ScriptedRuntime();
  runtime.imagesGone = 1;
  expect((await ranWith(runtime)).map(({ type }) => type)).toEqual(["output", "exit"]);
  expect([runtime.imageFetches, runtime.ran.length]).toEqual([2, 2]);
});

test("an image that is never there is said", async () => {
  const runtime = new ScriptedRuntime();
  runtime.imagesGone = 9;
  await expect(ranWith(runtime)).rejects.toMatchObject({ code: "DINP_IMAGE_NOT_FOUND" });
  expect(runtime.ran).toHaveLength(2);
});
