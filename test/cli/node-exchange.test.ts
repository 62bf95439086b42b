import { once } from "node:events";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@dinp/core/client";
import { expect, it, onTestFinished } from "vitest";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { createNodeExchange } from "../../src/adapters/cli/node-exchange.js";

const info = JSON.stringify({ version: "1.2.3" });

/** Listens on a free port until the test is over; gives the port. */
async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const answer: RequestListener = (request, response) => {
  request.resume();
  response.end(info);
};

it("sends one request after the other on one connection", async () => {
  let connections = 0;
  const server = createServer(answer).on("connection", () => (connections += 1));
  const url = `http://127.0.0.1:${String(await listening(server))}`;
  const client = createClient({ url, exchange: createNodeExchange() });
  for (let call = 0; call < 3; call += 1) expect(await client.info()).toEqual({ version: "1.2.3" });
  expect(connections).toBe(1);
});

it("sends the fields that say what a body is, and how long", async () => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    const { "content-type": type, "content-length": length, "transfer-encoding": coding } = request.headers;
    seen.push([request.method, type, length, coding]);
    answer(request, response);
  });
  const url = `http://127.0.0.1:${String(await listening(server))}`;
  const client = createClient({ url, exchange: createNodeExchange() });
  async function* archive(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Uint8Array.of(1, 2, 3));
  }
  await client.info();
  await client.startApp("a");
  await client.scaleApp("a", { instances: 2 });
  await client.createBuild("a", archive());
  expect(seen).toEqual([
    ["GET", undefined, undefined, undefined],
    ["POST", undefined, "0", undefined],
    ["PATCH", "application/json", "15", undefined],
    ["POST", "application/octet-stream", undefined, "chunked"],
  ]);
});

it("does not trust any certificate, and says why", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dinp-exchange-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const { key, certificate } = await makeCertificates(folder);
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, answer);
  const port = await listening(server);
  const client = createClient({ url: `https://127.0.0.1:${String(port)}`, exchange: createNodeExchange() });
  await expect(client.info()).rejects.toMatchObject({
    code: "DINP_UNAVAILABLE",
    message: expect.stringContaining("nobody that is trusted has signed its certificate") as string,
    hint: expect.stringContaining("NODE_EXTRA_CA_CERTS") as string,
  });
});

it("gives up on a connection that is silent, or not made, for too long", async () => {
  // Reads all, and answers nothing.
  const port = await listening(createTcpServer((socket) => socket.on("error", () => undefined).resume()));
  const http = createNodeExchange({ silenceMs: 20 });
  const silent = createClient({ url: `http://127.0.0.1:${String(port)}`, exchange: http });
  await expect(silent.createBuildFromUrl("a", "http://code.example/a.zip")).rejects.toMatchObject({
    code: "DINP_UNAVAILABLE",
    message: expect.stringContaining("nothing came or went for 20 ms") as string,
  });
  const tls = createNodeExchange({ connectMs: 20 });
  const dumb = createClient({ url: `https://127.0.0.1:${String(port)}`, exchange: tls });
  await expect(dumb.createBuildFromUrl("a", "http://code.example/a.zip")).rejects.toMatchObject({
    code: "DINP_UNAVAILABLE",
    message: expect.stringContaining("no connection in time") as string,
  });
});
