import { expect, it, onTestFinished } from "vitest";
import type { ControlLinkClient } from "@dinp/core";
import {
  createWebSocketLinkClient,
  createWebSocketLinkServer,
  type WebSocketLinkServerOptions,
} from "@dinp/core/websocket";
import { listenForAgents } from "../../src/bin/server/link-listener.js";
import { RawClient } from "../adapters/support/raw-client.js";
import { until } from "../adapters/support/until.js";
import { JOIN_TOKEN, memoryState, quiet } from "../adapters/websocket-support/link-rig.js";
import { openGate } from "../adapters/websocket-support/memory-gate.js";
import { RawAgent } from "../adapters/websocket-support/raw-agent.js";
import { Accepting, drained, helloOf, message, noServices } from "../adapters/websocket-support/sessions.js";

const UPGRADE = "connection: Upgrade\r\nupgrade: websocket\r\n";
const HANDSHAKE = `${UPGRADE}sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: dinp-link.1\r\n`;
const ADMITTED = `${HANDSHAKE}authorization: Bearer ${JOIN_TOKEN}\r\ndinp-node: slow\r\ndinp-node-key-hash: ${"a".repeat(64)}\r\n`;

/** A listener for agents, as a server has it. */
async function listen(options: Partial<WebSocketLinkServerOptions> = {}, headMsMax?: number) {
  const link = createWebSocketLinkServer({ gate: openGate(JOIN_TOKEN), logger: quiet, ...options });
  const listener = await listenForAgents(link, { host: "127.0.0.1", port: 0 }, null, headMsMax);
  const accepting = new Accepting(link);
  onTestFinished(async () => {
    await accepting.stop();
    await link.close();
    await listener.close();
  });
  const { port } = listener.at;
  return { port, url: `http://127.0.0.1:${String(port)}`, accepting };
}

function clientOf(url: string): ControlLinkClient {
  const parts = { state: memoryState(), joinToken: JOIN_TOKEN, logger: quiet };
  return createWebSocketLinkClient({ servers: [url], plaintext: true, ...parts });
}

/** Lets a well-behaved agent in, and hands a message over to it. */
async function serveAnother({ url, accepting }: Awaited<ReturnType<typeof listen>>, node: string) {
  const { signal } = new AbortController();
  const agent = await clientOf(url).connect(helloOf(node), { ...noServices, signal });
  const session = await sessionOf(accepting, node);
  const messages = agent.messages()[Symbol.asyncIterator]();
  const sent = session.send(message(1));
  expect((await messages.next()).value).toEqual(message(1));
  await sent;
  await agent.close();
}

async function sessionOf(accepting: Accepting, node: string) {
  for (let count = 1; ; count += 1) {
    const session = (await accepting.take(count)).find(({ hello }) => hello.nodeId === node);
    if (session !== undefined) return session;
  }
}

it("connections that never become links end, however they go on; agents are let in meanwhile", async () => {
  const listener = await listen({}, 500);
  const silent = await Promise.all(Array.from({ length: 200 }, () => RawClient.open(listener.port)));
  const slowHead = (await RawClient.open(listener.port)).send("GET /v1/link HTTP/1.1\r\nx: ");
  const slowBody = (await RawClient.open(listener.port)).send(
    "POST /v1/link HTTP/1.1\r\nhost: a\r\ncontent-length: 999999\r\n\r\n",
  );
  for (const client of [slowHead, slowBody]) client.trickle();
  await serveAnother(listener, "node-1");
  for (const client of [slowHead, slowBody, ...silent]) await client.whenClosed();
  await serveAnother(listener, "node-2");
});

it.each(["//", "//:x/v1/link", "http://", "/elsewhere", "*"])(
  "an upgrade to %s is refused",
  async (target) => {
    const listener = await listen();
    const client = await RawClient.open(listener.port);
    client.send(`GET ${target} HTTP/1.1\r\nhost: a\r\n${ADMITTED}\r\n`);
    expect((await client.answer()).status).toBeGreaterThanOrEqual(400);
    await client.whenClosed();
    await serveAnother(listener, "node-1");
  },
);

it("a client that resets its connection as it is refused harms nobody", async () => {
  const listener = await listen();
  for (const target of ["/elsewhere", "/v1/link"]) {
    for (let each = 0; each < 100; each += 1) {
      const client = await RawClient.open(listener.port);
      client.send(`GET ${target} HTTP/1.1\r\nhost: a\r\n${HANDSHAKE}\r\n`);
      setImmediate(() => client.socket.resetAndDestroy());
      await client.whenClosed();
    }
  }
  await serveAnother(listener, "node-1");
});

it("hundreds of upgrades without a key hold no place", async () => {
  const listener = await listen({ connectionsMax: 8 });
  for (let round = 0; round < 25; round += 1) {
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.open(listener.port)));
    for (const client of clients) {
      client.send(`GET /v1/link HTTP/1.1\r\nhost: a\r\ndinp-node: n\r\n${HANDSHAKE}\r\n`);
    }
    for (const client of clients) expect((await client.answer()).status).toBe(401);
  }
  await serveAnother(listener, "node-1");
});

it("an agent that is let in and does not say who it is, or says it by bytes, is ended", async () => {
  const listener = await listen({ greetingMs: 500 });
  const clients = [await RawClient.open(listener.port), await RawClient.open(listener.port)];
  const head = `GET /v1/link HTTP/1.1\r\nhost: a\r\n${ADMITTED}\r\n`;
  for (const client of clients) expect((await client.send(head).answer()).status).toBe(101);
  // The head of a masked text of 100 bytes, which is one that never ends.
  clients[1]?.send("\x81\xe4\0\0\0\0");
  clients[1]?.trickle();
  await serveAnother(listener, "node-1");
  for (const client of clients) await client.whenClosed();
  await serveAnother(listener, "node-2");
});

it("a frame longer than may be ends its connection when it begins, and no other", async () => {
  const listener = await listen({ frameBytesMax: 64 * 1024 });
  const agent = await RawAgent.welcomed(listener.url, "node-1");
  agent.raw(JSON.stringify({ n: agent.next, t: "report", rest: "x".repeat(65 * 1024) }));
  expect((await agent.closed).code).toBe(1009);
  await serveAnother(listener, "node-2");
});

it("an agent that answers no ping counts as gone", async () => {
  const listener = await listen({ pingMs: 100 });
  const agent = await RawAgent.welcomed(listener.url, "node-1");
  const [session] = await listener.accepting.take(1);
  agent.deafen();
  if (session === undefined) expect.unreachable();
  await drained(session.reports());
  agent.destroy();
  await serveAnother(listener, "node-2");
});

it("who sends pings and reads no answer is cut before that takes memory", async () => {
  const listener = await listen();
  const client = await RawClient.open(listener.port);
  client.send(`GET /v1/link HTTP/1.1\r\nhost: a\r\n${ADMITTED}\r\n`);
  expect((await client.answer()).status).toBe(101);
  client.socket.pause();
  const pings = `\x89\xfd\0\0\0\0${"x".repeat(125)}`.repeat(1_000);
  await until(() => {
    if (client.socket.writableLength === 0) client.send(pings);
    return client.closed;
  }, "the end of the connection");
  await serveAnother(listener, "node-1");
});
