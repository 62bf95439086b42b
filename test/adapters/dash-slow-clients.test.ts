import { expect, it } from "vitest";
import type { DashOptions } from "@dinp/core/dash";
import { startServer, TestDash } from "./dash-support.js";
import { RawClient } from "./support/raw-client.js";
import { until } from "./support/until.js";

const PAGE = "GET / HTTP/1.1\r\nhost: a\r\n";

/** A dashboard with a user who is signed in. */
async function signedIn(options: Partial<DashOptions>): Promise<TestDash> {
  const server = await startServer();
  const dash = await TestDash.start({ servers: [server.url], ...options });
  await dash.signIn();
  return dash;
}

function open(dash: TestDash): Promise<RawClient> {
  return RawClient.open(Number(new URL(dash.origin).port));
}

/** Another client is served as if nothing were. */
async function serveAnother(dash: TestDash): Promise<void> {
  expect((await dash.ask({ path: "/" })).status).toBe(200);
  expect((await dash.ask({ path: "/api/v1/apps" })).status).toBe(200);
}

it("ends connections that say nothing, and heads that come by bytes, and serves others meanwhile", async () => {
  const dash = await signedIn({ timeouts: { headMs: 500 } });
  const silent = await Promise.all(Array.from({ length: 200 }, () => open(dash)));
  const slow = (await open(dash)).send("GET / HTTP/1.1\r\nx: ");
  slow.trickle();
  await serveAnother(dash);
  for (const client of [slow, ...silent]) await client.whenClosed();
  await serveAnother(dash);
});

it("ends a request whose body goes on after its answer", async () => {
  const dash = await signedIn({ timeouts: { restMs: 300 } });
  const client = (await open(dash)).send(`${PAGE}content-length: 999999999\r\n\r\n`);
  client.trickle();
  expect((await client.answer()).status).toBe(200);
  await serveAnother(dash);
  await client.whenClosed();
});

it("ends a client that takes nothing of its answers", async () => {
  const bytes = Buffer.alloc(200_000, "x");
  const files = new Map([["/", { type: "text/html", bytes, etag: '"1"' }]]);
  const dash = await signedIn({ files, timeouts: { idleMs: 500 } });
  const client = await open(dash);
  client.socket.pause();
  const asks = `${PAGE}\r\n`.repeat(20);
  await until(() => {
    if (client.socket.writableLength === 0) client.send(asks);
    return client.closed;
  }, "the end of the connection");
  await serveAnother(dash);
});

it("serves its users while as many sign-ins as it has places for calls do not come whole", async () => {
  const dash = await signedIn({ callsMax: 2 });
  const head = `POST /session HTTP/1.1\r\nhost: ${new URL(dash.origin).host}\r\norigin: ${dash.origin}\r\n`;
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(dash)));
  for (const client of clients) {
    client.send(
      `${head}content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 99\r\n\r\n`,
    );
    // From then on its body is waited for.
    expect((await client.answer()).status).toBe(100);
  }
  await serveAnother(dash);
  for (const { socket } of clients) socket.destroy();
});

it("refuses heads that are too large, what is no HTTP, and other protocols, and goes on", async () => {
  const dash = await signedIn({});
  for (const [bytes, status] of [
    [`GET / HTTP/1.1\r\nx: ${"x".repeat(100_000)}`, 431],
    ["\x16\x03\x01 hello\r\n\r\n", 400],
    ["GET // HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 404],
    ["GET http:// HTTP/1.1\r\nhost: a\r\n\r\n", 404],
  ] as const) {
    const client = (await open(dash)).send(bytes);
    expect((await client.answer()).status).toBe(status);
    client.socket.destroy();
  }
  await serveAnother(dash);
});
