import { expect, it, onTestFinished } from "vitest";
import { createPrometheusMetrics } from "@dinp/core/prometheus";
import { Observer } from "../../src/bin/service/observer.js";
import { exchange, RawClient } from "../adapters/support/raw-client.js";
import { until } from "../adapters/support/until.js";

const BOUNDS = { headMs: 300, requestMs: 600 };
const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

/** An observer on a free port, which has much to tell. */
async function observe(): Promise<number> {
  const metrics = createPrometheusMetrics();
  const counter = metrics.counter({ name: "dinp_test_total", help: "Of a test", labels: ["n"] });
  for (let n = 0; n < 1_000; n += 1) counter.add(1, { n: String(n) });
  const observer = new Observer(metrics, BOUNDS);
  const { port } = await observer.start({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => observer.close());
  return port;
}

it("is reached again soon after as many clients as it takes have come and said nothing", async () => {
  const port = await observe();
  const silent = await Promise.all(Array.from({ length: 100 }, () => RawClient.open(port)));
  const another = await RawClient.open(port);
  await another.whenClosed();
  for (const client of silent) await client.whenClosed();
  expect(await exchange(port, ask("/healthz"))).toMatchObject({ status: 200, body: "ok\n" });
});

it("ends heads and bodies that come by bytes, and answers others meanwhile", async () => {
  const port = await observe();
  const slowHead = (await RawClient.open(port)).send("GET /healthz HTTP/1.1\r\nx: ");
  const slowBody = (await RawClient.open(port)).send(
    "POST /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 999999\r\n\r\n",
  );
  for (const client of [slowHead, slowBody]) client.trickle();
  expect((await slowBody.answer()).status).toBe(405);
  expect((await exchange(port, ask("/healthz"))).status).toBe(200);
  for (const client of [slowHead, slowBody]) await client.whenClosed();
});

it("ends a client that takes nothing of its answers, and answers others meanwhile", async () => {
  const port = await observe();
  const deaf = await RawClient.open(port);
  deaf.socket.pause();
  const asks = ask("/metrics").repeat(20);
  deaf.send(asks);
  expect((await exchange(port, ask("/healthz"))).status).toBe(200);
  await until(() => {
    if (deaf.socket.writableLength === 0) deaf.send(asks);
    return deaf.closed;
  }, "the end of the connection");
  expect((await exchange(port, ask("/metrics"))).body).toContain("dinp_test_total");
});

it("refuses heads that are too large, what is no HTTP, and other protocols", async () => {
  const port = await observe();
  for (const [bytes, status] of [
    [`GET /healthz HTTP/1.1\r\nx: ${"x".repeat(100_000)}`, 431],
    ["\x16\x03\x01 hello\r\n\r\n", 400],
    ["GET // HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 404],
  ] as const) {
    expect((await exchange(port, bytes)).status).toBe(status);
  }
  const connecting = (await RawClient.open(port)).send("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n");
  await connecting.whenClosed();
  expect((await exchange(port, ask("/healthz"))).status).toBe(200);
});
