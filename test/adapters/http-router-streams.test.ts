import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { type AppEndpoint, startAppEndpoint } from "./support/app-endpoint.js";
import { RawClient } from "./support/raw-client.js";
import { type RawEndpoint, startRawEndpoint } from "./support/raw-endpoint.js";
import { route, type RouterRig, startRouterRig } from "./support/router-rig.js";
import { until } from "./support/until.js";

const HOST = "Host: x.test\r\n";
const UPGRADE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n";
const WEBSOCKET = `GET /ws HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`;
const SWITCHING =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: BBBB\r\n\r\n";

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0).reverse()) await each.close();
});

async function rigFor(
  endpoint: AppEndpoint | RawEndpoint,
  ...options: Parameters<typeof startRouterRig>
): Promise<RouterRig> {
  const rig = await startRouterRig(...options);
  await rig.publish([route("x.test", [endpoint.endpoint])]);
  toClose.push(endpoint, rig);
  return rig;
}

async function settled(rig: RouterRig, count: number): Promise<void> {
  await until(() => rig.records.length === count, `${String(count)} ended requests`);
}

describe("bodies", () => {
  it("37 leaves no connection behind after hundreds of aborts, whenever they come", async () => {
    const app = await startAppEndpoint("i-1", (request, response) => {
      if (request.url === "/download") response.write(Buffer.alloc(2 ** 20));
      else request.resume();
    });
    const rig = await rigFor(app, { halfClosedMs: 100 });
    const heads = [
      `GET /never HTTP/1.1\r\n${HOST}\r\n`,
      `GET /download HTTP/1.1\r\n${HOST}\r\n`,
      `POST /upload HTTP/1.1\r\n${HOST}Content-Length: 999999\r\n\r\n${"a".repeat(10_000)}`,
      `POST /upload HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    ];
    const rounds = 60;
    for (let i = 0; i < rounds; i += 1) {
      const clients = await Promise.all(
        heads.map(async (head) => (await RawClient.open(rig.port)).send(head)),
      );
      if (i % 2 === 0) await until(() => clients[1]?.text !== "", "the beginning of a download");
      for (const { socket } of clients) {
        if (i % 4 < 2) socket.resetAndDestroy();
        else socket.destroy();
      }
    }
    await until(async () => (await app.openConnections()) === 0, "the end of every connection to the app");
    await until(
      () => process.getActiveResourcesInfo().filter((each) => each === "TCPSocketWrap").length === 0,
      "no socket left",
    );
  });

  it("37 counts no abort against the endpoint", async () => {
    const app = await startAppEndpoint("i-1", (request, response) => {
      if (request.url === "/ok") response.end("ok");
    });
    const rig = await rigFor(app);
    for (let i = 0; i < 10; i += 1) {
      const client = await RawClient.open(rig.port);
      client.send(`GET /never HTTP/1.1\r\n${HOST}\r\n`);
      await until(async () => (await app.openConnections()) === 1, "the request at the app");
      client.socket.resetAndDestroy();
      await settled(rig, i + 1);
    }
    expect(rig.records.map(({ status, reason }) => [status, reason])).toEqual(
      Array.from({ length: 10 }, () => [null, null]),
    );
  });

  it("sends an event stream on as it comes", async () => {
    const app = await startAppEndpoint("i-1", (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      setTimeout(() => response.write("data: 1\n\n"), 30);
    });
    const rig = await rigFor(app);
    const client = await RawClient.open(rig.port);
    client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    await until(() => client.text.includes("text/event-stream"), "the head, before any event");
    await until(() => client.text.includes("data: 1\n\n"), "the first event, while the answer goes on");
    client.socket.destroy();
  });

  it("passes 64 MB up and down whole", async () => {
    const app = await startAppEndpoint("i-1", (request, response) => {
      request.pipe(response);
    });
    const rig = await rigFor(app);
    const piece = randomBytes(2 ** 20);
    const sent = createHash("sha256");
    const got = createHash("sha256");
    let bytes = 0;
    const request = httpRequest({
      port: rig.port,
      host: "127.0.0.1",
      method: "PUT",
      headers: { host: "x.test" },
    });
    const done = new Promise<void>((resolve, reject) => {
      request.on("error", reject);
      request.on("response", (response) => {
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          got.update(chunk);
        });
        response.on("end", resolve);
      });
    });
    for (let i = 0; i < 64; i += 1) {
      sent.update(piece);
      if (!request.write(piece)) await new Promise((resolve) => request.once("drain", resolve));
    }
    request.end();
    await done;
    expect(bytes).toBe(64 * 2 ** 20);
    expect(got.digest("hex")).toBe(sent.digest("hex"));
  });

  it("holds an upload back while the app does not read, and a download while the client does not", async () => {
    let received = 0;
    let produced = 0;
    const app = await startAppEndpoint("i-1", (request, response) => {
      if (request.method === "PUT") {
        request.on("data", (chunk: Buffer) => {
          received += chunk.length;
          request.pause();
        });
        return;
      }
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(2 ** 16))) produced += 2 ** 16;
        if (produced < 2 ** 30) response.once("drain", more);
      };
      more();
    });
    const rig = await rigFor(app);
    const limit = 64 * 2 ** 20;
    const reader = await RawClient.open(rig.port);
    reader.socket.pause();
    reader.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
    const writer = await RawClient.open(rig.port);
    writer.send(`PUT / HTTP/1.1\r\n${HOST}Content-Length: 1073741824\r\n\r\n`);
    // What the kernel's buffers take (a few MB for each connection) is all that goes out.
    let stillFor = 0;
    let before = -1;
    while (stillFor < 20) {
      while (writer.socket.writableLength < 2 ** 20) writer.socket.write(Buffer.alloc(2 ** 16));
      const now = writer.socket.bytesWritten - writer.socket.writableLength + produced;
      stillFor = now === before ? stillFor + 1 : 0;
      before = now;
      if (now > 2 * limit) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(writer.socket.bytesWritten - writer.socket.writableLength).toBeLessThan(limit);
    expect(produced).toBeLessThan(limit);
    expect(received).toBeLessThan(limit);
    reader.socket.destroy();
    writer.socket.destroy();
  });
});

describe("WebSockets", () => {
  it("passes bytes both ways, those sent with the heads included", async () => {
    const endpoint = await startRawEndpoint("i-1", ({ socket, text }) => {
      const body = text.slice(text.indexOf("\r\n\r\n") + 4);
      if (body === "") socket.write(`${SWITCHING}hello,`);
      if (body.endsWith("echo")) socket.write(body);
    });
    const rig = await rigFor(endpoint);
    const client = await RawClient.open(rig.port);
    client.send(`${WEBSOCKET}early`);
    await until(() => client.text.endsWith("hello,"), "what the app sent with its head");
    client.send("echo");
    await until(() => client.text.endsWith("hello,earlyecho"), "the echo");
    expect(client.text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(client.text).toMatch(/Sec-WebSocket-Accept: BBBB\r\n/);
    expect(client.text).toMatch(/x-request-id: /);
    expect(endpoint.bytes()).toMatch(/Sec-WebSocket-Key: AAAA\r\n/);
    client.socket.end();
    await client.whenClosed();
    await settled(rig, 1);
    expect(rig.records[0]).toMatchObject({ status: 101, reason: null, complete: true });
    await until(() => endpoint.openConnections() === 0, "the end of the connection to the app");
  });

  it("30 passes a refused upgrade on and leaves nothing behind", async () => {
    const app = await startAppEndpoint("i-1", (_, response) => {
      response.statusCode = 404;
      response.end("no such socket");
    });
    const rig = await rigFor(app);
    for (let i = 0; i < 50; i += 1) {
      const client = await RawClient.open(rig.port);
      client.send(WEBSOCKET);
      expect(await client.answer()).toMatchObject({ status: 404, body: "no such socket" });
      await client.whenClosed();
    }
    await settled(rig, 50);
    await until(async () => (await app.openConnections()) === 0, "the end of every connection to the app");
  });

  it("30 answers 502 when the app resets an upgrade", async () => {
    const endpoint = await startRawEndpoint("i-1", ({ socket }) => socket.resetAndDestroy());
    const rig = await rigFor(endpoint);
    const client = await RawClient.open(rig.port);
    expect(await client.send(WEBSOCKET).answer()).toMatchObject({ status: 502 });
    await client.whenClosed();
  });

  it.each(["client", "app"])("30 ends both sides when the %s resets", async (who) => {
    const endpoint = await startRawEndpoint("i-1", ({ socket }) => socket.write(SWITCHING));
    const rig = await rigFor(endpoint);
    for (let i = 0; i < 20; i += 1) {
      const client = await RawClient.open(rig.port);
      client.send(WEBSOCKET);
      await until(() => client.text.includes("BBBB"), "the switch");
      if (who === "client") client.socket.resetAndDestroy();
      else endpoint.connections.at(-1)?.socket.resetAndDestroy();
      await client.whenClosed();
    }
    await settled(rig, 20);
    await until(() => endpoint.openConnections() === 0, "the end of every connection to the app");
  });

  it("cuts one that is idle for too long", async () => {
    const endpoint = await startRawEndpoint("i-1", ({ socket }) => socket.write(SWITCHING));
    const rig = await rigFor(endpoint, { forwarderOptions: { idleTimeoutMs: 50 } });
    const client = await RawClient.open(rig.port);
    client.send(WEBSOCKET);
    await client.whenClosed();
    await until(() => endpoint.openConnections() === 0, "the end of the connection to the app");
  });

  it("refuses one for a host without an app, and closes", async () => {
    const endpoint = await startRawEndpoint("i-1");
    const rig = await rigFor(endpoint);
    const client = await RawClient.open(rig.port);
    client.send(WEBSOCKET.replace("x.test", "y.test"));
    expect(await client.answer()).toMatchObject({ status: 404 });
    await client.whenClosed();
  });
});

describe("drain", () => {
  it("acknowledges an instance as busy until its last request has ended, WebSockets included", async () => {
    const endpoint = await startRawEndpoint("i-1", ({ socket, text }) => {
      if (text.startsWith("GET /ws")) socket.write(SWITCHING);
    });
    const rig = await rigFor(endpoint);
    const busy = async (): Promise<readonly string[] | undefined> => {
      const [acknowledgement] = await rig.table.acknowledgements();
      const revision = rig.follower.version()?.revision;
      return acknowledgement?.version.revision === revision ? acknowledgement?.busy : undefined;
    };
    const client = await RawClient.open(rig.port);
    client.send(WEBSOCKET);
    await until(() => client.text.includes("BBBB"), "the switch");
    const slow = await RawClient.open(rig.port);
    slow.send(`GET /slow HTTP/1.1\r\n${HOST}\r\n`);
    await until(() => endpoint.connections.length === 2, "both requests at the app");
    await until(async () => (await busy())?.length === 0, "an acknowledgement without busy instances");

    await rig.publish([]);
    await until(async () => (await busy())?.[0] === "i-1", "the busy instance");
    endpoint.connections[1]?.socket.write("HTTP/1.1 204 No Content\r\n\r\n");
    expect(await slow.answer()).toMatchObject({ status: 204 });
    expect(await busy()).toEqual(["i-1"]);
    client.socket.destroy();
    await until(async () => (await busy())?.length === 0, "the acknowledgement that nothing is in flight");
    slow.socket.destroy();
  });
});
