import { afterEach, describe, expect, it } from "vitest";
import type { ControlLinkClient } from "@dinp/core";
import { FaultProxy } from "./oci-support/fault-proxy.js";
import { until } from "./support/until.js";
import { LinkRig } from "./websocket-support/link-rig.js";
import { Accepting, drained, helloOf, message, noServices } from "./websocket-support/sessions.js";

/** Dead ends are known as such after three of them. Long enough for answers on a busy machine. */
const PING_MS = 500;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that accepts, and a proxy before it that breaks connections on demand. */
async function scene(options: Parameters<typeof LinkRig.start>[0] = {}) {
  const rig = await LinkRig.start({ pingMs: PING_MS, ...options });
  const proxy = await FaultProxy.start(rig.port);
  const accepting = new Accepting(rig.link);
  closers.push(
    () => rig.close(),
    () => accepting.stop(),
    () => proxy.close(),
  );
  const servers = [`http://127.0.0.1:${String(proxy.port)}`];
  const { pingMs = PING_MS } = options;
  return { rig, proxy, accepting, client: () => rig.client({ servers, pingMs, connectMs: 30_000 }) };
}

function connect(client: ControlLinkClient, node = "node-1", services = noServices) {
  return client.connect(helloOf(node), { ...services, signal: new AbortController().signal });
}

describe("WebSocket control link: networks that fail", () => {
  it("a line on which nothing passes any more ends at both ends, and leaves no socket", async () => {
    const { rig, proxy, accepting, client } = await scene();
    const agent = await connect(client());
    const [session] = await accepting.take(1);
    const sending = session?.send(message(1));
    const reporting = agent.report({ nodeId: "node-1", full: true, statuses: [] });
    proxy.set({ kind: "hang" });
    await expect(sending).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    await expect(reporting).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    await drained(agent.messages());
    await until(() => rig.open === 0, "the end of every socket");
  });

  it("a quiet line that works stays", async () => {
    const { accepting, client } = await scene();
    const agent = await connect(client());
    const [session] = await accepting.take(1);
    const messages = agent.messages()[Symbol.asyncIterator]();
    await new Promise((resolve) => setTimeout(resolve, 6 * PING_MS));
    const sending = session?.send(message(1));
    expect((await messages.next()).value).toEqual(message(1));
    await sending;
  });

  it.each(["up", "down"] as const)(
    "a line that is cut in the middle of a message, %s: ends at both ends, and a new one begins",
    async (way) => {
      const { proxy, accepting, client } = await scene();
      const link = client();
      const agent = await connect(link);
      const [session] = await accepting.take(1);
      const large = { nodeId: "node-1", full: true, statuses: [] };
      const release = Array.from({ length: 20_000 }, (_, index) => `instance-${String(index)}`);
      proxy.set({ kind: "cut", way, afterBytes: 2_000, times: 1 });
      const sent = [session?.send({ ...message(1), release }) ?? Promise.resolve()];
      if (way === "up") for (let each = 0; each < 8; each += 1) sent.push(agent.report(large));
      proxy.set({ kind: "cut", way, afterBytes: 1, times: 1 });
      for (const each of await Promise.allSettled(sent)) expect(each.status).toBe("rejected");
      await drained(agent.messages());
      proxy.set({ kind: "none" });
      const again = await connect(link);
      const [, second] = await accepting.take(2);
      const sending = second?.send({ ...message(2), release });
      expect((await again.messages()[Symbol.asyncIterator]().next()).value).toEqual({
        ...message(2),
        release,
      });
      await sending;
    },
  );

  it("a slow line is not taken for a dead one while bytes come", async () => {
    const { proxy, accepting, client } = await scene({ pingMs: 150 });
    const agent = await connect(client());
    const [session] = await accepting.take(1);
    proxy.set({ kind: "slow", bytes: 1_000 });
    const release = Array.from({ length: 5_000 }, (_, index) => `instance-${String(index)}`);
    const sending = session?.send({ ...message(1), release });
    const { value } = await agent.messages()[Symbol.asyncIterator]().next();
    expect(value).toEqual({ ...message(1), release });
    await sending;
  });

  it("servers that cannot be reached, or say nothing, are told of in bounded time", async () => {
    const { rig, proxy } = await scene();
    proxy.set({ kind: "hang" });
    const nobody = await FaultProxy.start(1);
    nobody.set({ kind: "refuse" });
    closers.push(() => nobody.close());
    const servers = [proxy.port, nobody.port].map((port) => `http://127.0.0.1:${String(port)}`);
    const client = rig.client({ servers, connectMs: 100 });
    const error: unknown = await connect(client).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    for (const server of servers) expect(String(error)).toContain(server);
  });

  it("of several servers the one that answers is taken", async () => {
    const { rig, proxy, accepting } = await scene();
    proxy.set({ kind: "refuse" });
    const servers = [`http://127.0.0.1:${String(proxy.port)}`, rig.url];
    await connect(rig.client({ servers }));
    expect((await accepting.take(1)).length).toBe(1);
  });

  it("a server that takes connections and says nothing holds up nobody: the next one is asked meanwhile", async () => {
    const { rig, proxy, accepting } = await scene();
    const second = await LinkRig.start();
    closers.push(() => second.close());
    proxy.set({ kind: "hang" });
    const servers = [`http://127.0.0.1:${String(proxy.port)}`, second.url, rig.url];
    const client = rig.client({ servers, connectMs: 600_000 });
    const agent = await connect(client);
    expect((await accepting.take(1)).length).toBe(1);
    proxy.set({ kind: "none" });
    await until(() => proxy.open === 0, "the end of the call to the one that said nothing");
    expect(accepting.sessions).toHaveLength(1);
    await agent.close();
  });

  it("a server that sends the agent to a leader that stands still is asked again until it leads itself", async () => {
    const { rig: leader, proxy } = await scene();
    proxy.set({ kind: "hang" });
    const leaderUrl = `http://127.0.0.1:${String(proxy.port)}`;
    let asked = 0;
    const next = await LinkRig.start({
      leaderUrl: () => {
        asked += 1;
        return leaderUrl;
      },
    });
    closers.push(() => next.close());
    const connecting = connect(leader.client({ servers: [next.url, leaderUrl], connectMs: 600_000 }));
    await until(() => asked > 0, "the agent at the server that does not lead yet");
    expect(proxy.open).toBeLessThanOrEqual(1);
    const accepting = new Accepting(next.link);
    closers.push(() => accepting.stop());
    await connecting;
    expect((await accepting.take(1)).length).toBe(1);
    proxy.set({ kind: "none" });
    await until(() => proxy.open === 0, "the end of the call to the one that stands still");
  });

  it("two hundred agents at once are all let in, and all leave", { timeout: 120_000 }, async () => {
    const { rig, accepting } = await scene({ pingMs: 5_000 });
    const names = Array.from({ length: 200 }, (_, index) => `node-${String(index)}`);
    const agents = await Promise.all(names.map((name) => connect(rig.client(), name)));
    const sessions = await accepting.take(names.length);
    expect(new Set(sessions.map(({ hello }) => hello.nodeId)).size).toBe(names.length);
    await Promise.all(agents.map((agent) => agent.close()));
    await Promise.all(sessions.map((session) => drained(session.reports())));
    await until(() => rig.open === 0, "the end of every socket");
  });

  it("more agents than may connect are told to come again", async () => {
    const { rig, accepting } = await scene({ connectionsMax: 2 });
    for (const name of ["node-1", "node-2"]) await connect(rig.client(), name);
    await accepting.take(2);
    await expect(connect(rig.client(), "node-3")).rejects.toMatchObject({
      code: "DINP_BUSY",
      retryable: true,
    });
  });
});
