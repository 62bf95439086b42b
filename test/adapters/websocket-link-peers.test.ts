import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { JOIN_TOKEN, LinkRig } from "./websocket-support/link-rig.js";
import { RawAgent } from "./websocket-support/raw-agent.js";
import { Accepting, helloOf } from "./websocket-support/sessions.js";

let rig: LinkRig;
let accepting: Accepting;
beforeEach(async () => {
  rig = await LinkRig.start();
  accepting = new Accepting(rig.link);
});
afterEach(async () => {
  await accepting.stop();
  await rig.close();
});

const report = { t: "report", report: { nodeId: "node-1", full: false, statuses: [] } };
const status = {
  ...{ instanceId: "i-1", appId: "a", releaseId: "r", nodeId: "node-2", phase: "running", ready: true },
  ...{ readyAt: null, endpoint: null, startedAt: 1, reason: "", exit: null, seq: 1 },
};

describe("WebSocket control link: frames that no agent sends", () => {
  it.each<readonly [string, (agent: RawAgent) => void, RegExp]>([
    [
      "doubled",
      (agent) => {
        agent.send(report);
        agent.raw(JSON.stringify({ n: agent.next - 1, ...report }));
      },
      /frame \d+ came where \d+ was due/,
    ],
    [
      "with a gap",
      (agent) => {
        agent.raw(JSON.stringify({ n: agent.next + 1, ...report }));
      },
      /came where/,
    ],
    [
      "of another connection",
      (agent) => {
        agent.raw(JSON.stringify({ n: 1, ...report }));
      },
      /came where/,
    ],
    [
      "about another node",
      (agent) => {
        agent.send({ ...report, report: { ...report.report, nodeId: "node-2" } });
      },
      /another node/,
    ],
    [
      "about another node's instance",
      (agent) => {
        agent.send({ ...report, report: { ...report.report, statuses: [status] } });
      },
      /another node/,
    ],
    [
      "hello again",
      (agent) => {
        agent.send({ t: "hello", start: 1, run: "x", hello: helloOf("node-1") });
      },
      /hello came twice/,
    ],
    [
      "taken, of nothing",
      (agent) => {
        agent.send({ t: "taken", of: 7 });
      },
      /7 was taken over/,
    ],
    [
      "of a stream that was never opened",
      (agent) => {
        agent.send({ t: "end", stream: 9 });
      },
      /never opened/,
    ],
    [
      "of an unknown kind",
      (agent) => {
        agent.send({ t: "message", message: {} });
      },
      /bad frame/,
    ],
    [
      "without a number",
      (agent) => {
        agent.raw(JSON.stringify(report));
      },
      /bad frame/,
    ],
    [
      "that are no JSON",
      (agent) => {
        agent.raw("{");
      },
      /bad frame/,
    ],
    [
      "that are bytes",
      (agent) => {
        agent.raw(Uint8Array.of(1, 2));
      },
      /frames are texts/,
    ],
    [
      "more than may be under way",
      (agent) => {
        for (let each = 0; each < 9; each += 1) agent.send(report);
      },
      /more messages than may be under way/,
    ],
  ])("%s: end the connection, and say why", async (_name, misbehave, reason) => {
    const agent = await RawAgent.welcomed(rig.url);
    const [session] = await accepting.take(1);
    misbehave(agent);
    const end = await agent.closed;
    expect(end.code).toBe(4400);
    expect(end.reason).toMatch(reason);
    await expect(session?.send({ epoch: 1, assign: [], release: [] })).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
    });
  });

  it("a stream further ahead than it may be ends the connection", async () => {
    const agent = await RawAgent.welcomed(rig.url);
    const [session] = await accepting.take(1);
    const { signal } = new AbortController();
    const lines = session?.logs({ instanceId: "i", tail: 1, follow: true, signal })[Symbol.asyncIterator]();
    const first = lines?.next();
    first?.catch(() => undefined);
    const item = { line: { instanceId: "i", text: "x".repeat(60_000) } };
    for (let each = 0; each < 20; each += 1) agent.send({ t: "item", stream: 1, item });
    expect((await agent.closed).reason).toMatch(/further ahead/);
  });

  it("65 an agent that says that it is another node is not let in", async () => {
    const agent = await RawAgent.open(rig.url);
    agent.send({ t: "hello", start: 1, run: "x", hello: helloOf("node-2") });
    expect(await agent.closed).toEqual({ code: 4400, reason: "it says that it is another node" });
    expect(accepting.sessions).toEqual([]);
  });

  it("an agent that does not begin with hello is not let in", async () => {
    const agent = await RawAgent.open(rig.url);
    agent.send(report);
    expect((await agent.closed).reason).toMatch(/report came where hello was due/);
  });
});

describe("WebSocket control link: upgrades that are refused", () => {
  const key = { authorization: `Bearer ${JOIN_TOKEN}`, "dinp-node": "node-1" };
  const upgrade = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "dinp-link.1",
  };

  it.each<readonly [string, string, Readonly<Record<string, string>>, number, string]>([
    ["no key", "/v1/link", { "dinp-node": "node-1" }, 401, "DINP_UNAUTHENTICATED"],
    ["a wrong key", "/v1/link", { ...key, authorization: "Bearer nonsense" }, 401, "DINP_UNAUTHENTICATED"],
    ["no node", "/v1/link", { authorization: key.authorization }, 400, "DINP_INVALID"],
    ["another version", "/v1/link", { ...key, "sec-websocket-protocol": "dinp-link.9" }, 400, "DINP_INVALID"],
    ["another path", "/elsewhere", key, 404, "DINP_NOT_FOUND"],
  ])("%s", async (_name, path, headers, expected, code) => {
    const { request } = await import("node:http");
    const { status: actual, body } = await new Promise<{ status: number; body: string }>(
      (resolve, reject) => {
        const asking = request(`${rig.url}${path}`, { headers: { ...upgrade, ...headers } }, (answer) => {
          let text = "";
          answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
          answer.on("end", () => {
            resolve({ status: answer.statusCode ?? 0, body: text });
          });
        });
        asking.on("error", reject);
        asking.on("upgrade", () => {
          reject(new Error("it was upgraded"));
        });
        asking.end();
      },
    );
    expect(actual).toBe(expected);
    expect(JSON.parse(body)).toMatchObject({ error: { code } });
  });
});
