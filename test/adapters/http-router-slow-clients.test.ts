import { afterEach, expect, it } from "vitest";
import { type AppEndpoint, startAppEndpoint } from "./support/app-endpoint.js";
import { exchange, RawClient } from "./support/raw-client.js";
import { startRawEndpoint } from "./support/raw-endpoint.js";
import { route, type RouterRig, startRouterRig } from "./support/router-rig.js";
import { until } from "./support/until.js";

const HOST = "Host: x.test\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const WEBSOCKET = `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n\r\n`;
const SWITCHING =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: BBBB\r\n\r\n";

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0).reverse()) await each.close();
});

/** A router before an app that answers uploads when they have come whole, and never answers `/wait`. */
async function serve(options: Parameters<typeof startRouterRig>[0]): Promise<{
  readonly rig: RouterRig;
  readonly app: AppEndpoint;
}> {
  const app = await startAppEndpoint("i-1", (request, response) => {
    if (request.url === "/big") response.end(Buffer.alloc(64 * 2 ** 20));
    else if (request.url !== "/wait") request.resume().on("end", () => response.end("whole"));
  });
  const rig = await startRouterRig(options);
  toClose.push(app, rig);
  await rig.publish([route("x.test", [app.endpoint])]);
  return { rig, app };
}

/** Another client is served as if nothing were. */
async function serveAnother({ port }: RouterRig): Promise<void> {
  expect((await exchange(port, GET)).status).toBe(200);
}

it("33 ends heads that come by bytes, also after an answer, and connections that say nothing", async () => {
  const { rig } = await serve({ headTimeoutMs: 500 });
  const silent = await Promise.all(Array.from({ length: 300 }, () => RawClient.open(rig.port)));
  const first = (await RawClient.open(rig.port)).send("GET / HTTP/1.1\r\nx: ");
  const second = (await RawClient.open(rig.port)).send(GET);
  expect((await second.answer()).status).toBe(200);
  second.send("GET / HTTP/1.1\r\nx: ");
  for (const client of [first, second]) client.trickle();
  await serveAnother(rig);
  expect(await first.answer()).toMatchObject({ status: 408 });
  expect(await second.answer(1)).toMatchObject({ status: 408 });
  for (const client of [first, second, ...silent]) await client.whenClosed();
  await serveAnother(rig);
});

it("33 waits for an upload that comes by bytes", async () => {
  const { rig } = await serve({ clientIdleTimeoutMs: 500 });
  const client = await RawClient.open(rig.port);
  client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\n`);
  client.trickle();
  await serveAnother(rig);
  expect(await client.answer()).toMatchObject({ status: 200, body: "whole" });
  client.socket.destroy();
});

it("33 a client that takes nothing of its answer is let go, also when it asks for a WebSocket after it", async () => {
  const { rig, app } = await serve({
    clientIdleTimeoutMs: 500,
    forwarderOptions: { idleTimeoutMs: 500 },
  });
  const big = `GET /big HTTP/1.1\r\n${HOST}\r\n`;
  const clients = [await RawClient.open(rig.port), await RawClient.open(rig.port)];
  for (const { socket } of clients) socket.pause();
  clients[0]?.send(big);
  clients[1]?.send(`${big}${WEBSOCKET}`);
  await until(async () => (await app.openConnections()) === 2, "both answers");
  await serveAnother(rig);
  await until(() => rig.records.filter(({ path }) => path === "/big").length === 2, "the end of both");
  await serveAnother(rig);
  for (const { socket } of clients) socket.destroy();
});

it("33 a WebSocket whose client takes nothing holds its app back, and is cut", async () => {
  let sent = 0;
  const endpoint = await startRawEndpoint("i-1", ({ socket }) => {
    socket.write(SWITCHING);
    const more = (): void => {
      while (!socket.destroyed && socket.write(Buffer.alloc(2 ** 16))) sent += 2 ** 16;
    };
    socket.on("drain", more);
    more();
  });
  const { rig, app } = await serve({ forwarderOptions: { idleTimeoutMs: 500 } });
  await rig.publish([route("x.test", [app.endpoint]), route("ws.test", [endpoint.endpoint])]);
  toClose.push(endpoint);
  const client = await RawClient.open(rig.port);
  client.socket.pause();
  client.send(WEBSOCKET.replace("x.test", "ws.test"));
  await until(() => endpoint.connections.length === 1, "the connection to the app");
  await serveAnother(rig);
  await until(() => endpoint.openConnections() === 0, "the end of the connection to the app");
  expect(sent).toBeLessThan(64 * 2 ** 20);
  client.socket.destroy();
});

it("a router full of connections without a request serves others, and ends those that waited longest", async () => {
  const { rig } = await serve({ connectionsMax: 50 });
  const kept = (await RawClient.open(rig.port)).send(GET);
  expect((await kept.answer()).status).toBe(200);
  const silent = await Promise.all(Array.from({ length: 100 }, () => RawClient.open(rig.port)));
  await kept.whenClosed();
  await until(() => silent.filter(({ closed }) => closed).length === 50, "the end of the fifty oldest");
  await serveAnother(rig);
  const last = silent.at(-1)?.send(GET);
  expect((await last?.answer())?.status).toBe(200);
  for (const { socket } of silent) socket.destroy();
});

it("a router full of requests closes further connections, and serves again when one has ended", async () => {
  const { rig, app } = await serve({ connectionsMax: 2 });
  const clients = [await RawClient.open(rig.port), await RawClient.open(rig.port)];
  for (const client of clients) client.send(`GET /wait HTTP/1.1\r\n${HOST}\r\n`);
  await until(async () => (await app.openConnections()) === 2, "both requests");
  await (await RawClient.open(rig.port)).whenClosed();
  expect(clients.map(({ closed }) => closed)).toEqual([false, false]);
  clients[0]?.socket.destroy();
  await until(async () => (await app.openConnections()) === 1, "the end of the first");
  await serveAnother(rig);
  clients[1]?.socket.destroy();
});

it("refuses heads that are too large in bytes or in fields, and serves others meanwhile", async () => {
  const { rig } = await serve({});
  const large = (await RawClient.open(rig.port)).send(`GET / HTTP/1.1\r\n${HOST}x: ${"x".repeat(40_000)}`);
  const many = (await RawClient.open(rig.port)).send(
    `GET / HTTP/1.1\r\n${HOST}${"a: b\r\n".repeat(500)}\r\n`,
  );
  await serveAnother(rig);
  for (const client of [large, many]) {
    expect((await client.answer()).status).toBe(431);
    await client.whenClosed();
  }
});
