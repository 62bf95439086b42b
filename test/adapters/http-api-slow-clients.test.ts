import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { parseUploadPlace } from "@dinp/core";
import { createUploadFetcher } from "@dinp/core/url-fetch";
import { makeTarGz } from "../build/support.js";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import { archiveOf, nodeApp } from "../platform/world.js";
import { type ApiWorld, createApiWorld } from "./http-api-world.js";
import { RawClient } from "./support/raw-client.js";
import { until } from "./support/until.js";
import { serving, startUploadServer } from "./support/upload-server.js";

const UPLOAD = "POST /v1/apps/slow/builds HTTP/1.1\r\nhost: a\r\ncontent-type: application/gzip\r\n";

function open({ url }: ApiWorld): Promise<RawClient> {
  return RawClient.open(Number(new URL(url).port));
}

function tokenOf({ world }: ApiWorld): string {
  return `authorization: Bearer ${world.secret}\r\n`;
}

/** An authority, and what it signed for 127.0.0.1. */
async function certificates(): Promise<Record<"ca" | "cert" | "key", string>> {
  const folder = await mkdtemp(join(tmpdir(), "dinp-api-tls-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { ca, certificate, key } = await makeCertificates(folder);
  const [caText, cert, keyText] = await Promise.all(
    [ca, certificate, key].map((path) => readFile(path, "utf8")),
  );
  return { ca: caText ?? "", cert: cert ?? "", key: keyText ?? "" };
}

/** Another client is served as if nothing were. */
async function serveAnother(api: ApiWorld): Promise<void> {
  expect(await api.client.listApps()).toBeDefined();
  expect((await api.raw({ method: "GET", path: "/healthz", token: null })).status).toBe(200);
}

it("ends connections that say nothing, and heads that come by bytes, and serves others meanwhile", async () => {
  await using api = await createApiWorld({ headTimeoutMs: 500 });
  const silent = await Promise.all(Array.from({ length: 300 }, () => open(api)));
  const slow = (await open(api)).send("GET /v1/info HTTP/1.1\r\nx: ");
  slow.trickle();
  await serveAnother(api);
  expect(await slow.answer()).toMatchObject({ status: 408 });
  for (const client of [slow, ...silent]) await client.whenClosed();
  await serveAnother(api);
});

it("ends connections over which no TLS comes, or not all of a handshake, and serves others meanwhile", async () => {
  const { ca, ...tls } = await certificates();
  await using api = await createApiWorld({ headTimeoutMs: 500, tls });
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(api)));
  const plain = (await open(api)).send("GET /v1/info HTTP/1.1\r\nhost: a\r\n\r\n");
  const begun = (await open(api)).send("\x16\x03\x01\x02\0");
  begun.trickle();
  const get = async (): Promise<number | undefined> => {
    const asked = httpsGet(`${api.url}/healthz`, { ca, agent: false });
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    answer.resume();
    return answer.statusCode;
  };
  expect(await get()).toBe(200);
  for (const client of [plain, begun, ...clients]) await client.whenClosed();
  expect(await get()).toBe(200);
});

it.each([
  ["GET", "content-length: 999999999"],
  ["GET", "transfer-encoding: chunked"],
  ["POST", "content-length: 999999999"],
])("ends a %s without a token whose body (%s) goes on after its answer", async (method, length) => {
  await using api = await createApiWorld({ restMs: 300 });
  const client = (await open(api)).send(`${method} /v1/apps HTTP/1.1\r\nhost: a\r\n${length}\r\n\r\n`);
  if (length.startsWith("t")) client.send("fffffff\r\n");
  client.trickle();
  expect(await client.answer()).toMatchObject({ status: 401 });
  await serveAnother(api);
  await client.whenClosed();
});

it("ends a client that takes nothing of its answers", async () => {
  await using api = await createApiWorld({ stallMs: 500 });
  const client = await open(api);
  client.socket.pause();
  const asks = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20);
  // What the kernel takes for it is some MB; then nothing moves any more.
  await until(() => {
    if (client.socket.writableLength === 0) client.send(asks);
    return client.closed;
  }, "the end of the connection");
  await serveAnother(api);
});

it("ends an upload that stands still, so that it holds no builder", async () => {
  await using api = await createApiWorld({ stallMs: 500 }, { buildsMax: 1 });
  const client = (await open(api)).send(`${UPLOAD}${tokenOf(api)}content-length: 999999\r\n\r\n\x1f\x8b`);
  await expect.poll(async () => (await api.world.records("build")).length).toBe(1);
  await serveAnother(api);
  await client.whenClosed();
  await expect.poll(async () => (await api.world.records("build"))[0]?.state).toBe("failed");
  await api.client.createBuild("hello", archiveOf(nodeApp));
});

it("gives an upload that comes by bytes up when the build's time is over", async () => {
  await using api = await createApiWorld({}, { buildsMax: 1, buildTimeoutMs: 1_000 });
  const client = (await open(api)).send(`${UPLOAD}${tokenOf(api)}content-length: 999999\r\n\r\n\x1f\x8b`);
  client.trickle();
  await expect.poll(async () => (await api.world.records("build")).length).toBe(1);
  await serveAnother(api);
  expect(await client.answer()).toMatchObject({ status: 504 });
  await client.whenClosed();
  await expect.poll(async () => (await api.world.records("build"))[0]?.state).toBe("failed");
});

it("waits for its own work, however long a client that has sent all hears nothing of it", async () => {
  const host = "127.0.0.2";
  const code = await makeTarGz([{ name: "server.js", content: "require('http')" }]);
  await using server = await startUploadServer(host, (socket, head) => {
    setTimeout(() => {
      serving(code)(socket, head);
    }, 1_000);
  });
  const uploads = createUploadFetcher({ allow: [parseUploadPlace(host)] });
  await using api = await createApiWorld({ stallMs: 100, restMs: 100 }, { uploads });
  const url = `http://${host}:${String(server.port)}/a.tgz`;
  expect(await api.client.createBuildFromUrl("hello", url)).toMatchObject({ state: "succeeded" });
});
