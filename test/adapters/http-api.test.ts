import { describe, expect, it } from "vitest";
import { createHttpApi } from "@dinp/core/http-api";
import { archiveOf, nodeApp } from "../platform/world.js";
import { exchange, RawClient } from "./support/raw-client.js";
import { createApiWorld, type RawRequest } from "./http-api-world.js";

const errorOf = (body: unknown): unknown => (body as { readonly error: unknown }).error;
/** An upload that begins and never goes on. */
async function* stuck(): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(0x1f, 0x8b);
  await new Promise(() => undefined);
}
const patch = (path: string, json: unknown) => ({ method: "PATCH", path, json });

describe("HTTP API: who may", () => {
  it("tells an agent that was given its address where agents connect", async () => {
    await using api = await createApiWorld();
    const answer = await api.json({ method: "GET", path: "/v1/link", token: "dinpj_0" });
    expect(answer).toMatchObject({
      status: 404,
      body: {
        error: { code: "DINP_NOT_FOUND", hint: expect.stringContaining("server.linkListen") as string },
      },
    });
  });

  it("answers info, health and its description to anyone, all else only with a token", async () => {
    await using api = await createApiWorld();
    for (const path of ["/v1/info", "/healthz", "/openapi.json"]) {
      expect((await api.raw({ method: "GET", path, token: null })).status).toBe(200);
    }
    const tokens = [null, "", "wrong", `dinp_${"a".repeat(52)}`, "x".repeat(10_000)];
    const requests: RawRequest[] = [
      { method: "GET", path: "/v1/session" },
      { method: "GET", path: "/v1/apps" },
      { method: "POST", path: "/v1/apps/hello/builds" },
      { method: "GET", path: "/v1/events?follow=true" },
      { method: "DELETE", path: "/v1/apps/hello" },
      { method: "GET", path: "/v1/nothing" },
    ];
    for (const request of requests) {
      for (const token of tokens) {
        const answer = await api.json({ ...request, token });
        expect(answer.status).toBe(401);
        expect(answer.headers["www-authenticate"]).toBe("Bearer");
        expect(errorOf(answer.body)).toMatchObject({
          code: "DINP_UNAUTHENTICATED",
          hint: expect.any(String) as string,
        });
      }
    }
    expect((await api.json({ method: "GET", path: "/v1/session" })).body).toEqual({
      subject: "admin",
      role: "admin",
    });
  });

  it("does not hang on the body of an upload that it refuses", async () => {
    await using api = await createApiWorld();
    const big = new Uint8Array(32 * 1024 * 1024);
    const headers = { "content-type": "application/gzip" };
    const request = { method: "POST", path: "/v1/apps/hello/builds", headers, body: big };
    expect((await api.raw({ ...request, token: "wrong" })).status).toBe(401);
    expect((await api.raw({ ...request, headers: { "content-type": "text/plain" } })).status).toBe(415);
    expect((await api.raw(request)).status).toBe(422);
  });
});

describe("HTTP API: bad input", () => {
  it.each([
    ["a string for a number", { instances: "3" }],
    ["null for a number", { instances: null }],
    ["a list for an object", [1]],
    ["a field that is not there", { instances: 1, team_id: "other" }],
    ["nothing", {}],
    ["text", "scale"],
    ["too many", { instances: 1e9 }],
    ["too few", { instances: -1 }],
    ["a fraction", { instances: 0.5 }],
    ["more than a double holds exactly", { instances: 2 ** 53 }],
  ])("refuses %s", async (_name, json) => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const answer = await api.json(patch("/v1/apps/hello", json));
    expect(answer.status).toBe(400);
    expect(errorOf(answer.body)).toMatchObject({ code: "DINP_INVALID" });
    expect((await api.client.getApp("hello")).instances).toBe(1);
  });

  it.each([
    ["prototype key", '{"instances": 2, "__proto__": {"instances": 3}}'],
    ["nested prototype key", '{"set": {"__proto__": "x"}}'],
    ["constructor key", '{"instances": 2, "constructor": {"prototype": {"polluted": true}}}'],
    ["no JSON", '{"instances": 2'],
    ["two values", '{"instances": 2} {}'],
    ["NaN", '{"instances": NaN}'],
    ["infinity", '{"instances": 1e999}'],
    ["nothing at all", ""],
    ["10,000 deep", `{"instances": ${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
    ["400,000 deep and unclosed", "[".repeat(400_000)],
  ])("refuses a body with %s", async (_name, body) => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const headers = { "content-type": "application/json" };
    for (const path of ["/v1/apps/hello", "/v1/apps/hello/env"]) {
      const answer = await api.raw({ method: "PATCH", path, headers, body });
      expect(answer.status).toBe(400);
      expect(answer.text).toContain("DINP_INVALID");
    }
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    expect((await api.client.getApp("hello")).instances).toBe(1);
  });

  it("takes JSON only as JSON, so that no form of another site can write", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const body = '{"instances": 2}';
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "application/jsonx",
    ]) {
      const headers = { "content-type": type };
      const answer = await api.raw({ method: "PATCH", path: "/v1/apps/hello", headers, body });
      expect(answer.status).toBe(415);
      const start = await api.raw({ method: "POST", path: "/v1/apps/hello/stop", headers, body });
      expect(start.status).toBe(415);
    }
    expect((await api.raw({ method: "PATCH", path: "/v1/apps/hello", body })).status).toBe(415);
    expect(await api.client.getApp("hello")).toMatchObject({ instances: 1, desired: "running" });
    const headers = { "content-type": "application/json; charset=utf-8" };
    expect((await api.raw({ method: "PATCH", path: "/v1/apps/hello", headers, body })).status).toBe(200);
  });

  it("refuses bodies above 1 MiB, with and without their length", async () => {
    await using api = await createApiWorld();
    const body = JSON.stringify({ host: "x".repeat(2 * 1024 * 1024) });
    const headers = { "content-type": "application/json" };
    const path = "/v1/apps/hello/domains";
    const known = await api.raw({ method: "POST", path, headers, body });
    expect(known.status).toBe(413);
    expect(known.text).toContain("DINP_TOO_LARGE");
    const chunked = { ...headers, "transfer-encoding": "chunked" };
    expect((await api.raw({ method: "POST", path, headers: chunked, body })).status).toBe(413);
  });

  it.each([
    "/v1/apps/hello/logs?tail=-1",
    "/v1/apps/hello/logs?tail=1e9",
    "/v1/apps/hello/logs?tail=99999999",
    "/v1/apps/hello/logs?follow=yes",
    "/v1/apps/hello/rollouts/abc",
    "/v1/events?limit=0",
    "/v1/events?limit=5000",
    "/v1/events?nonsense=1",
    "/v1/events?__proto__=1",
  ])("refuses %s", async (path) => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const answer = await api.json({ method: "GET", path });
    expect(answer.status).toBe(400);
    expect(errorOf(answer.body)).toMatchObject({ code: "DINP_INVALID" });
  });

  it.each([
    ["no HTTP at all", 400, "\u0016\u0003\u0001 hello\r\n\r\n"],
    ["a head without an end of its size", 431, `GET /v1/info HTTP/1.1\r\nx: ${"x".repeat(20_000)}`],
    [
      "two lengths",
      400,
      "POST /v1/info HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ],
  ])("answers %s with %i in JSON", async (_name, status, bytes) => {
    await using api = await createApiWorld();
    const answer = await exchange(Number(new URL(api.url).port), bytes);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({
      error: { code: expect.stringMatching(/^DINP_/) as string, hint: expect.any(String) as string },
    });
  });

  it("never answers what stands behind a request in the place of its answer", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const head = `DELETE /v1/apps/hello HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${api.world.secret}\r\n\r\n`;
    const client = await RawClient.open(Number(new URL(api.url).port));
    client.send(`${head}\u0000garbage\r\n\r\n`);
    await client.whenClosed();
    expect(client.text).not.toMatch(/^HTTP\/1\.1 400/);
  });

  it("refuses bad idempotency keys, and a key used for something else", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const withKey = (key: string, json: unknown) =>
      api.json({ ...patch("/v1/apps/hello", json), headers: { "idempotency-key": key } });
    expect((await withKey("x".repeat(201), { instances: 2 })).status).toBe(400);
    expect((await withKey("\u00e4", { instances: 2 })).status).toBe(400);
    const first = await withKey("key", { instances: 2 });
    await api.client.scaleApp("hello", { instances: 5 });
    const again = await Promise.all([1, 2, 3].map(() => withKey("key", { instances: 2 })));
    for (const answer of again) expect(answer.body).toEqual(first.body);
    expect((await api.client.getApp("hello")).instances).toBe(5);
    const reused = await withKey("key", { instances: 3 });
    expect(reused.status).toBe(409);
    expect(errorOf(reused.body)).toMatchObject({ code: "DINP_IDEMPOTENCY_KEY_REUSED" });
  });

  it("does nothing twice when the same write comes many times at once", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const request = {
      ...patch("/v1/apps/hello/env", { set: { A: "1" } }),
      headers: { "idempotency-key": "once" },
    };
    const answers = await Promise.all(Array.from({ length: 12 }, () => api.json(request)));
    for (const answer of answers) {
      expect(answer.status).toBe(201);
      expect(answer.body).toEqual(answers[0]?.body);
    }
    expect(await api.world.records("release")).toHaveLength(2);
  });

  it("knows its paths, and says so of others", async () => {
    await using api = await createApiWorld();
    const answer = await api.json({ method: "PUT", path: "/v1/apps/%00%1b[2J/nothing" });
    expect(answer.status).toBe(404);
    expect(errorOf(answer.body)).toMatchObject({ code: "DINP_NOT_FOUND" });
    expect(answer.text).not.toMatch(/[\u0000-\u001f]/);
    const missing = await api.json({ method: "GET", path: "/v1/apps/missing" });
    expect(missing.status).toBe(404);
    expect(errorOf(missing.body)).toMatchObject({ message: 'There is no app named "missing".' });
  });

  it("keeps secrets out of errors, and internals out of answers", async () => {
    await using api = await createApiWorld();
    await api.world.push("hello");
    const secret = "hunter2";
    for (const json of [{ set: { A: [secret] } }, { set: { PORT: secret } }, { set: { "a b": secret } }]) {
      const answer = await api.json(patch("/v1/apps/hello/env", json));
      expect(answer.status).toBe(400);
      expect(answer.text).not.toContain(secret);
    }
    await api.world.store.commit([
      { op: "delete", kind: "release", key: (await api.world.records("release"))[0]?.id ?? "" },
    ]);
    const broken = await api.json({ method: "GET", path: "/v1/apps/hello/env" });
    expect(broken.status).toBe(500);
    const requestId = String(broken.headers["x-request-id"]);
    expect(errorOf(broken.body)).toMatchObject({ code: "DINP_INTERNAL", details: { requestId } });
    expect(broken.text).not.toContain("store");
    expect(api.world.logger.lines.join()).toContain(requestId);
  });

  it("answers 503 while the store does not", async () => {
    await using api = await createApiWorld();
    await api.world.store.close();
    const answer = await api.json({ method: "GET", path: "/v1/apps" });
    expect(answer.status).toBe(503);
    expect(errorOf(answer.body)).toMatchObject({ code: "DINP_CLOSED" });
  });
});

describe("HTTP API: its description", () => {
  it("names every endpoint, what it takes and that it needs a token", async () => {
    await using api = await createApiWorld();
    const answer = await api.json({ method: "GET", path: "/openapi.json", token: null });
    const document = answer.body as {
      readonly openapi: string;
      readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: unknown }>>>>;
    };
    expect(document.openapi).toBe("3.1.0");
    const endpoints = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, { security }]) => `${method} ${path}${security === undefined ? " open" : ""}`,
      ),
    );
    expect(endpoints.sort()).toEqual([
      "delete /v1/apps/{app}",
      "delete /v1/apps/{app}/domains",
      "delete /v1/bases/{base}",
      "delete /v1/join-tokens/{id}",
      "delete /v1/registries/{host}",
      "delete /v1/router-tokens/{id}",
      "delete /v1/routers/{id}",
      "get /v1/apps",
      "get /v1/apps/{app}",
      "get /v1/apps/{app}/builds/{id}",
      "get /v1/apps/{app}/builds/{id}/log",
      "get /v1/apps/{app}/domains",
      "get /v1/apps/{app}/env",
      "get /v1/apps/{app}/explain",
      "get /v1/apps/{app}/grants",
      "get /v1/apps/{app}/logs",
      "get /v1/apps/{app}/plan",
      "get /v1/apps/{app}/releases",
      "get /v1/apps/{app}/rollouts/{number}",
      "get /v1/bases",
      "get /v1/builds",
      "get /v1/events",
      "get /v1/info open",
      "get /v1/instances",
      "get /v1/join-tokens",
      "get /v1/nodes",
      "get /v1/plan",
      "get /v1/registries",
      "get /v1/router-tokens",
      "get /v1/routers",
      "get /v1/secret-keys",
      "get /v1/session",
      "get /v1/templates",
      "patch /v1/apps/{app}",
      "patch /v1/apps/{app}/env",
      "post /v1/apps/{app}/builds",
      "post /v1/apps/{app}/domains",
      "post /v1/apps/{app}/exec",
      "post /v1/apps/{app}/plan",
      "post /v1/apps/{app}/releases",
      "post /v1/apps/{app}/rollback",
      "post /v1/apps/{app}/run",
      "post /v1/apps/{app}/start",
      "post /v1/apps/{app}/stop",
      "post /v1/apps/{app}/url-builds",
      "post /v1/bases/{base}",
      "post /v1/bases/{base}/archive",
      "post /v1/join-tokens",
      "post /v1/nodes/{id}/revoke",
      "post /v1/registries/{host}",
      "post /v1/router-tokens",
      "put /v1/apps/{app}/grants",
      "put /v1/routers/{id}",
    ]);
    expect(answer.text).toContain("idempotency-key");
    expect(answer.text).toContain('"additionalProperties":false');
  });
});

describe("HTTP API: its life", () => {
  it("says which port is taken and what to do", async () => {
    await using api = await createApiWorld();
    const port = Number(new URL(api.url).port);
    const second = createHttpApi({
      platform: api.world.platform,
      logger: api.world.logger,
      listen: { host: "127.0.0.1", port },
    });
    await expect(second.start()).rejects.toMatchObject({
      code: "DINP_PORT_TAKEN",
      message: `The API cannot listen on 127.0.0.1:${String(port)}: another program has that port.`,
      hint: expect.stringContaining("choose another port") as string,
    });
    await second.close();
  });

  it("closes in bounded time while streams and uploads are open, telling the streams", async () => {
    await using api = await createApiWorld({ closeGraceMs: 200 });
    const events = api.client.followEvents()[Symbol.asyncIterator]();
    await events.next();
    const quiet = expect(events.next()).rejects.toMatchObject({ code: "DINP_CLOSED" });
    const upload = api.client.createBuild("hello", stuck());
    const uploadEnd = expect(upload).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    await expect.poll(async () => (await api.world.records("build")).length).toBe(1);
    await api.api.close();
    await quiet;
    await uploadEnd;
    await expect(api.client.info()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    expect(api.api.url).toBeNull();
  });

  it("breaks a build off when its client goes", async () => {
    await using api = await createApiWorld();
    const gone = new AbortController();
    const upload = api.client.createBuild("hello", stuck(), { signal: gone.signal });
    await expect.poll(async () => (await api.world.records("build")).length).toBe(1);
    gone.abort();
    await expect(upload).rejects.toMatchObject({ code: "DINP_ABORTED" });
    await expect.poll(async () => (await api.world.records("build"))[0]?.state).toBe("failed");
    await api.client.createBuild("hello", archiveOf(nodeApp));
  });
});
