import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, RequestListener } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../scripts/lib/services/ports.mjs";
import { eventually } from "../e2e/harness.js";
import { createApiWorld } from "./http-api-world.js";
import { bodyOf, codeOf, startServer, TestDash, TOKEN } from "./dash-support.js";

const APPS = { path: "/api/v1/apps?limit=5" };
const BUILDS = "/api/v1/apps/shop/builds?file=shop.tar.gz";
const KEY = { "idempotency-key": "k1" };

/** A follower: sends all calls on to the one that leads. */
function sendsTo(url: string, status = 307): RequestListener {
  return (request, response) => {
    response.writeHead(status, { location: `${url}${request.url ?? ""}` }).end();
  };
}

/** Answers with what it was sent. */
const mirror: RequestListener = (request, response) => {
  void bodyOf(request).then((body) => {
    const { method, url, headers } = request;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      JSON.stringify({ method, url, headers, bytes: body.byteLength, body: body.toString("base64") }),
    );
  });
};

interface Mirrored {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
  readonly body: string;
}

async function signedIn(
  servers: readonly string[],
  options: Parameters<typeof TestDash.start>[0] = {},
): Promise<TestDash> {
  const dash = await TestDash.start({ servers, ...options });
  expect((await dash.signIn()).status).toBe(200);
  return dash;
}

async function answerOf(asked: NodeJS.EventEmitter): Promise<{ status: number; text: string }> {
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, text: (await bodyOf(answer)).toString() };
}

describe("a call", () => {
  it("reaches the API as it is, with the user's token, and without what is the browser's alone", async () => {
    const server = await startServer(mirror);
    const dash = await signedIn([`${server.url}/`]);
    const answer = await dash.post(
      "/api/v1/apps/a%2Fb?x=%20y",
      { instances: 2 },
      {
        ...KEY,
        "if-match": '"7"',
        "x-forwarded-for": "1.2.3.4",
        authorization: "Bearer other",
      },
    );
    const { method, url, headers, body } = JSON.parse(answer.text) as Mirrored;
    expect([method, url]).toEqual(["POST", "/v1/apps/a%2Fb?x=%20y"]);
    expect(Buffer.from(body, "base64").toString()).toBe('{"instances":2}');
    expect(headers).toEqual({
      authorization: `Bearer ${TOKEN}`,
      connection: expect.any(String),
      "content-length": "15",
      "content-type": "application/json",
      host: new URL(server.url).host,
      "idempotency-key": "k1",
      "if-match": '"7"',
    });
  });

  it("gets the API's answer: status, tag, request id; nothing that the dashboard does not know", async () => {
    const server = await startServer((_request, response) => {
      const fields = {
        etag: '"9"',
        "x-request-id": "r1",
        "set-cookie": "a=b",
        "x-other": "1",
        "retry-after": "3",
      };
      response.writeHead(429, { "content-type": "application/json", ...fields }).end('{"a":1}');
    });
    const dash = await signedIn([server.url]);
    const { status, headers, text } = await dash.ask(APPS);
    expect([status, text]).toEqual([429, '{"a":1}']);
    expect(headers).toMatchObject({ etag: '"9"', "x-request-id": "r1", "retry-after": "3" });
    expect(headers).not.toHaveProperty("set-cookie");
    expect(headers).not.toHaveProperty("x-other");
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
  });

  it.each(["/api/", "/api/v2/apps", "/api/openapi.json", "/api/v1", "/apiv1/x"])(
    "is of the API: not %s",
    async (path) => {
      const server = await startServer();
      const dash = await signedIn([server.url]);
      expect((await dash.ask({ path })).status).toBe(404);
      expect(server.asked).toEqual([]);
    },
  );

  it("with a body of more than 2 MiB, where that is no upload, is refused", async () => {
    const server = await startServer(mirror);
    const dash = await signedIn([server.url]);
    const answer = await dash.ask({
      method: "POST",
      path: "/api/v1/apps/shop/releases",
      body: randomBytes(2_100_000),
    });
    expect([answer.status, codeOf(answer), server.asked]).toEqual([413, "DINP_TOO_LARGE", []]);
  });

  it("is one of a bounded number", async () => {
    let release = (): void => undefined;
    const server = await startServer((_request, response) => {
      release = () => response.end("{}");
    });
    const dash = await signedIn([server.url], { callsMax: 1 });
    const first = dash.ask(APPS);
    await eventually("the first call", () => server.asked.length === 1);
    expect(codeOf(await dash.ask(APPS))).toBe("DINP_BUSY");
    release();
    expect((await first).status).toBe(200);
  });

  it("is of a real API, whose lists and streams come through", async () => {
    const world = await createApiWorld();
    onTestFinished(() => world[Symbol.asyncDispose]());
    const dash = await TestDash.start({ servers: [world.url] });
    await dash.signIn(world.world.secret);
    expect(JSON.parse((await dash.ask(APPS)).text)).toEqual({ items: [], next: null });
    const missing = await dash.ask({ path: "/api/v1/apps/none" });
    expect([missing.status, codeOf(missing)]).toEqual([404, "DINP_NOT_FOUND"]);
  });
});

describe("servers", () => {
  it("are tried in turn; the one that answers stays first", async () => {
    const away = `http://127.0.0.1:${String(await freePort())}`;
    const server = await startServer();
    const dash = await signedIn([away, server.url]);
    expect((await dash.ask(APPS)).status).toBe(200);
    const back = await startServer(undefined, Number(new URL(away).port));
    expect((await dash.ask(APPS)).status).toBe(200);
    await server.stop();
    expect((await dash.ask(APPS)).status).toBe(200);
    expect([server.asked.length, back.asked.length]).toEqual([2, 1]);
  });

  it("that are all away are named, and asked again by the next call", async () => {
    const server = await startServer();
    const other = `http://127.0.0.1:${String(await freePort())}`;
    const dash = await signedIn([server.url, other]);
    await server.stop();
    const answer = await dash.ask(APPS);
    expect([answer.status, codeOf(answer)]).toEqual([503, "DINP_UNAVAILABLE"]);
    for (const url of [server.url, other])
      expect(answer.text).toContain(`${new URL(url).host}: ECONNREFUSED`);
    await startServer(undefined, Number(new URL(server.url).port));
    expect((await dash.ask(APPS)).status).toBe(200);
  });

  it("that break off are told from those that were never reached: a write without a key is not sent twice", async () => {
    const breaking = await startServer((request) => {
      void bodyOf(request).then(() => request.socket.destroy());
    });
    const other = await startServer(mirror);
    const path = "/api/v1/apps/shop/start";
    const once = await (await signedIn([breaking.url, other.url])).post(path, {});
    expect([once.status, codeOf(once), other.asked]).toEqual([503, "DINP_COMMIT_UNKNOWN", []]);
    const keyed = await (await signedIn([breaking.url, other.url])).post(path, {}, KEY);
    expect([keyed.status, other.asked]).toEqual([200, ["POST /v1/apps/shop/start"]]);
    const read = await (await signedIn([breaking.url, other.url])).ask(APPS);
    expect(read.status).toBe(200);
  });

  it("that close a connection which was kept are asked by a new one", async () => {
    let answers = 0;
    const server = await startServer((request, response) => {
      answers += 1;
      if (answers === 2) request.socket.destroy();
      else response.end("{}");
    });
    const dash = await signedIn([server.url]);
    expect((await dash.ask(APPS)).status).toBe(200);
    expect((await dash.ask(APPS)).status).toBe(200);
    expect(answers).toBe(3);
  });

  it("that do not answer are given up in time", async () => {
    const silent = await startServer(() => undefined);
    const dash = await signedIn([silent.url], { timeouts: { answerMs: 100 } });
    const answer = await dash.ask(APPS);
    expect([answer.status, codeOf(answer)]).toEqual([503, "DINP_UNAVAILABLE"]);
    expect(answer.text).toContain("no answer within 100 ms");
  });

  it.each([307, 308])("that follow send a call on, which goes there whole (%i)", async (status) => {
    const leader = await startServer(mirror);
    const follower = await startServer(sendsTo(leader.url, status));
    const dash = await signedIn([follower.url]);
    const answer = await dash.post("/api/v1/apps/shop/rollback", { to: 3 }, KEY);
    const { method, headers, body } = JSON.parse(answer.text) as Mirrored;
    expect([method, Buffer.from(body, "base64").toString()]).toEqual(["POST", '{"to":3}']);
    expect(headers).toMatchObject({ authorization: `Bearer ${TOKEN}`, "idempotency-key": "k1" });
    expect(answer.headers.location).toBeUndefined();
    await dash.post("/api/v1/apps/shop/rollback", { to: 3 });
    expect([follower.asked.length, leader.asked.length]).toEqual([1, 2]);
  });

  it("that follow each other, or lead to no server, end in an error", async () => {
    const port = await freePort();
    const circle = await startServer(sendsTo(`http://127.0.0.1:${String(port)}`), port);
    const looped = await (await signedIn([circle.url])).ask(APPS);
    expect([looped.status, codeOf(looped), circle.asked.length]).toEqual([503, "DINP_UNAVAILABLE", 4]);
    const astray = await startServer(sendsTo("ftp://127.0.0.1"));
    expect(codeOf(await (await signedIn([astray.url])).ask(APPS))).toBe("DINP_UNAVAILABLE");
  });
});

describe("an upload", () => {
  const first = randomBytes(400_000);
  const rest = randomBytes(5_000_000);

  it("streams: the server has its first bytes before the last are sent", async () => {
    let seen = 0;
    let digest = "";
    const server = await startServer((request, response) => {
      request.on("data", (chunk: Buffer) => (seen += chunk.byteLength));
      digest = request.headers["content-length"] ?? "chunked";
      request.on("end", () => response.writeHead(201, { "content-type": "application/json" }).end("{}"));
    });
    const dash = await signedIn([server.url]);
    for (const length of [first.byteLength + rest.byteLength, null]) {
      seen = 0;
      const asked = dash.upload(BUILDS, length === null ? {} : { "content-length": String(length) });
      asked.write(first);
      await eventually("the first bytes", () => seen === first.byteLength);
      asked.end(rest);
      expect((await answerOf(asked)).status).toBe(201);
      expect([seen, digest]).toEqual([
        first.byteLength + rest.byteLength,
        length === null ? "chunked" : String(length),
      ]);
    }
  });

  it("waits for the server: what that does not take stays with the client", async () => {
    let reading: IncomingMessage | null = null;
    const server = await startServer((request, response) => {
      reading = request;
      request.on("end", () => response.end("{}"));
    });
    const dash = await signedIn([server.url]);
    const asked = dash.upload(BUILDS);
    const piece = Buffer.alloc(1024 * 1024);
    let written = 0;
    // Written until the client's own buffer is full and stays so for a moment.
    await eventually("the client has to wait", async () => {
      if (asked.writableNeedDrain)
        await Promise.race([once(asked, "drain"), new Promise((r) => setTimeout(r, 500))]);
      if (asked.writableNeedDrain) return true;
      asked.write(piece);
      written += 1;
      return written > 200;
    });
    expect(written).toBeLessThan(100);
    const request = await eventually("the request", () => reading ?? undefined);
    asked.end();
    request.resume();
    expect((await answerOf(asked)).status).toBe(200);
  });

  it("whose client goes away goes away at the server", async () => {
    let isCut = false;
    const server = await startServer((request) => {
      request.on("error", () => undefined);
      request.on("close", () => (isCut = !request.complete));
      request.resume();
    });
    const dash = await signedIn([server.url]);
    const asked = dash.upload(BUILDS);
    asked.on("error", () => undefined);
    asked.write(first);
    await eventually("the upload", () => server.asked.length === 1);
    asked.destroy();
    await eventually("its end", () => isCut);
  });

  it("that stands still is cut", async () => {
    const server = await startServer((request) => {
      request.on("error", () => undefined);
      request.resume();
    });
    const dash = await signedIn([server.url], { timeouts: { idleMs: 100 } });
    const asked = dash.upload(BUILDS, { "content-length": "1000000" });
    asked.write(first);
    await expect(once(asked, "response")).rejects.toThrow();
  });

  it("that a follower sends on arrives at the leader whole", async () => {
    const leader = await startServer(mirror);
    const follower = await startServer(sendsTo(leader.url));
    const dash = await signedIn([follower.url]);
    const asked = dash.upload(BUILDS);
    asked.write(first);
    await eventually("the leader", () => leader.asked.length === 1);
    asked.end(rest);
    const { body, url } = JSON.parse((await answerOf(asked)).text) as Mirrored;
    expect(url).toBe("/v1/apps/shop/builds?file=shop.tar.gz");
    expect(Buffer.from(body, "base64").equals(Buffer.concat([first, rest]))).toBe(true);
  });

  it("that a follower sends on too late is told so, and goes to the leader the next time", async () => {
    const leader = await startServer(mirror);
    const follower = await startServer((request, response) => {
      void bodyOf(request).then(() => {
        sendsTo(leader.url)(request, response);
      });
    });
    const dash = await signedIn([follower.url]);
    const asked = dash.upload(BUILDS);
    asked.end(rest);
    const late = await answerOf(asked);
    expect([late.status, codeOf({ ...late, headers: {} }), leader.asked]).toEqual([
      503,
      "DINP_UNAVAILABLE",
      [],
    ]);
    const again = dash.upload(BUILDS);
    again.end(rest);
    expect((JSON.parse((await answerOf(again)).text) as Mirrored).bytes).toBe(rest.byteLength);
    expect(follower.asked).toHaveLength(1);
  });

  it("that is refused early has the server's answer", async () => {
    const server = await startServer((_request, response) => {
      response
        .writeHead(413, { "content-type": "application/json" })
        .end('{"error":{"code":"DINP_TOO_LARGE"}}');
    });
    const dash = await signedIn([server.url]);
    const asked = dash.upload(BUILDS);
    asked.write(first);
    const answered = answerOf(asked);
    asked.end(rest);
    expect((await answered).status).toBe(413);
  });

  it("that no server can take is told so, and read to its end", async () => {
    const server = await startServer();
    const dash = await signedIn([server.url]);
    await server.stop();
    const asked = dash.upload(BUILDS);
    const sent = once(asked, "finish");
    asked.end(rest);
    expect((await answerOf(asked)).status).toBe(503);
    await sent;
  });

  it("by nobody who is signed in reaches no server", async () => {
    const server = await startServer(mirror);
    const dash = await TestDash.start({ servers: [server.url] });
    const asked = dash.upload(BUILDS);
    asked.end(rest);
    expect([(await answerOf(asked)).status, server.asked]).toEqual([401, []]);
  });
});

describe("a stream", () => {
  const lines: RequestListener = (_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write('{"text":"one"}\n');
  };

  it("comes line by line, and ends at the server when its reader goes", async () => {
    let isClosed = false;
    const server = await startServer((request, response) => {
      lines(request, response);
      response.on("close", () => (isClosed = true));
    });
    const dash = await signedIn([server.url]);
    const end = new AbortController();
    const answer = await fetch(`${dash.origin}/api/v1/apps/shop/logs?follow=true`, {
      headers: { cookie: dash.cookie },
      signal: end.signal,
    });
    const { value } = (await answer.body?.getReader().read()) as { readonly value?: Uint8Array };
    expect(new TextDecoder().decode(value)).toBe('{"text":"one"}\n');
    expect(isClosed).toBe(false);
    end.abort();
    await eventually("its end", () => isClosed);
  });

  it("that breaks off at the server breaks off", async () => {
    const server = await startServer((request, response) => {
      lines(request, response);
      setImmediate(() => request.socket.destroy());
    });
    const dash = await signedIn([server.url]);
    await expect(dash.ask({ path: "/api/v1/apps/shop/logs" })).rejects.toThrow();
  });

  it("that is silent for too long is cut", async () => {
    const server = await startServer(lines);
    const dash = await signedIn([server.url], { timeouts: { idleMs: 100 } });
    await expect(dash.ask({ path: "/api/v1/apps/shop/logs" })).rejects.toThrow();
  });

  it("ends when the dashboard does, which waits for other calls", async () => {
    let finish = (): void => undefined;
    const server = await startServer((request, response) => {
      if (request.url?.includes("logs") === true) lines(request, response);
      else finish = () => response.end("{}");
    });
    const dash = await signedIn([server.url]);
    const stream = dash.ask({ path: "/api/v1/apps/shop/logs" });
    const call = dash.ask(APPS);
    await eventually("both", () => server.asked.length === 2);
    const closed = dash.dash.close({ drainMs: 20_000 });
    await expect(stream).rejects.toThrow();
    finish();
    expect((await call).status).toBe(200);
    await closed;
  });
});
