import { createServer } from "node:net";
import { isDinpError } from "@dinp/core";
import { afterEach, describe, expect, it } from "vitest";
import { type AppEndpoint, deadEndpoint, startAppEndpoint } from "./support/app-endpoint.js";
import { exchange, RawClient } from "./support/raw-client.js";
import {
  type Answer,
  OK,
  parseRequests,
  type RawEndpoint,
  startRawEndpoint,
} from "./support/raw-endpoint.js";
import { route, type RouterRig, startRouterRig } from "./support/router-rig.js";
import { until } from "./support/until.js";

const HOST = "Host: x.test\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0).reverse()) await each.close();
});

async function rigOf(...options: Parameters<typeof startRouterRig>): Promise<RouterRig> {
  const rig = await startRouterRig(...options);
  toClose.push(rig);
  return rig;
}

async function raw(instanceId: string, answer?: Answer): Promise<RawEndpoint> {
  const endpoint = await startRawEndpoint(instanceId, answer);
  toClose.push(endpoint);
  return endpoint;
}

async function app(...options: Parameters<typeof startAppEndpoint>): Promise<AppEndpoint> {
  const endpoint = await startAppEndpoint(...options);
  toClose.push(endpoint);
  return endpoint;
}

function fieldsOf(endpoint: RawEndpoint): ReadonlyMap<string, string> {
  return new Map(parseRequests(endpoint.bytes()).requests.at(-1)?.fields);
}

describe("routes", () => {
  it("answers by host and longest path, by whole segments", async () => {
    const rig = await rigOf();
    const [root, api] = [await app("root"), await app("api")];
    await rig.publish([route("x.test", [root.endpoint]), route("x.test", [api.endpoint], { path: "/api" })]);
    const ask = async (path: string): Promise<string> =>
      (await exchange(rig.port, `GET ${path} HTTP/1.1\r\n${HOST}\r\n`)).body;
    expect(await ask("/")).toBe("root");
    expect(await ask("/api")).toBe("api");
    expect(await ask("/api/b?c")).toBe("api");
    expect(await ask("/apis")).toBe("root");
    expect(await ask("/API")).toBe("root");
    expect(await ask("/%61pi")).toBe("root");
  });

  it("lets two instances answer in turn", async () => {
    const rig = await rigOf();
    const [a, b] = [await app("a"), await app("b")];
    await rig.publish([route("x.test", [a.endpoint, b.endpoint])]);
    const bodies: string[] = [];
    for (let i = 0; i < 6; i += 1) bodies.push((await exchange(rig.port, GET)).body);
    expect(bodies).toEqual(["a", "b", "a", "b", "a", "b"]);
  });

  it.each([
    [503, "no_route_table", null, "/", []],
    [404, "unknown_host", "y.test", "/", []],
    [404, "unknown_path", "x.test", "/other", []],
    [503, "app_stopped", "x.test", "/", ["stopped"]],
    [503, "no_ready_instance", "x.test", "/", ["no-ready-instance"]],
  ] as const)("says %i %s where no app can answer", async (status, reason, host, path, [unavailable]) => {
    const rig = await rigOf();
    if (host !== null) {
      const more = unavailable === undefined ? { path: "/a" } : { unavailable };
      await rig.publish([route("x.test", [], more)]);
    }
    const request = `GET ${path} HTTP/1.1\r\nHost: ${host ?? "x.test"}\r\n`;
    const text = await exchange(rig.port, `${request}\r\n`);
    expect(text.status).toBe(status);
    expect(text.fields.get("x-dinp-error")).toBe(reason);
    expect(text.fields.get("content-type")).toContain("text/plain");
    expect(text.fields.get("cache-control")).toBe("no-store");
    expect(text.body).toContain(reason);
    const json = await exchange(rig.port, `${request}Accept: application/json\r\n\r\n`);
    expect(JSON.parse(json.body)).toMatchObject({
      error: { status, reason, requestId: json.fields.get("x-request-id") },
    });
    expect(rig.records.map((record) => [record.status, record.reason])).toEqual([
      [status, reason],
      [status, reason],
    ]);
  });

  it("sends no body with a refusal of HEAD", async () => {
    const rig = await rigOf();
    const client = await RawClient.open(rig.port);
    client.send(`HEAD / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    await client.whenClosed();
    expect(client.text).toMatch(/^HTTP\/1\.1 503 [^]*\r\n\r\n$/);
  });
});

describe("fields", () => {
  it("23, 24 tells the app who asked, whatever the client claims", async () => {
    const rig = await rigOf();
    const endpoint = await raw("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const spoofed = [
      "Connection: close, X-Forwarded-Proto, x-forwarded-for, Host, X-Mine",
      "X-Forwarded-For: 6.6.6.6",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Host: evil.test",
      "X-Forwarded-Port: 1",
      "X_Forwarded_For: 6.6.6.6",
      "Forwarded: for=6.6.6.6",
      "X-Real-IP: 6.6.6.6",
      "X-Dinp-Error: none",
      "Content_Length: 7",
      "Proxy: http://evil.test",
      "Proxy-Connection: keep-alive",
      "Keep-Alive: timeout=9",
      "TE: trailers",
      "X-Mine: 1",
      "X-Kept: a",
      "x-kept: b",
      "X-Latin: caf\xe9",
    ];
    await exchange(rig.port, `GET / HTTP/1.1\r\n${HOST}${spoofed.join("\r\n")}\r\n\r\n`);
    expect(endpoint.bytes()).not.toMatch(/6\.6\.6\.6|evil|x_|content_|proxy-|te:|timeout=9|x-mine/i);
    expect(fieldsOf(endpoint).get("x-forwarded-for")).toBe("127.0.0.1");
    expect(fieldsOf(endpoint).get("x-forwarded-proto")).toBe("http");
    expect(fieldsOf(endpoint).get("x-forwarded-host")).toBe("x.test");
    expect(fieldsOf(endpoint).get("x-latin")).toBe("caf\xe9");
    expect(endpoint.bytes()).toMatch(/X-Kept: a\r\nX-Kept: b\r\n/);
  });

  it("believes a trusted proxy, and appends to its chain", async () => {
    const rig = await rigOf({ trustedProxies: ["127.0.0.0/8"] });
    const endpoint = await raw("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const told = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www.test\r\n";
    await exchange(rig.port, `GET / HTTP/1.1\r\n${HOST}${told}\r\n`);
    expect(fieldsOf(endpoint).get("x-forwarded-for")).toBe("9.9.9.9, 127.0.0.1");
    expect(fieldsOf(endpoint).get("x-forwarded-proto")).toBe("https");
    expect(fieldsOf(endpoint).get("x-forwarded-host")).toBe("www.test");
  });

  it("keeps a sane request id, makes another one for any other, and echoes it", async () => {
    const rig = await rigOf();
    const endpoint = await raw("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const ask = async (id: string): Promise<string | undefined> => {
      const answer = await exchange(rig.port, `GET / HTTP/1.1\r\n${HOST}X-Request-Id: ${id}\r\n\r\n`);
      expect(fieldsOf(endpoint).get("x-request-id")).toBe(answer.fields.get("x-request-id"));
      return answer.fields.get("x-request-id");
    };
    expect(await ask("abc-1.2")).toBe("abc-1.2");
    expect(await ask("<script>")).toMatch(/^[0-9a-f-]{36}$/);
    expect(await ask("a".repeat(200))).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("passes the app's fields on, but hop-by-hop ones and the router's own", async () => {
    const rig = await rigOf();
    const fields = [
      "Content-Length: 2",
      "Connection: X-Hop",
      "X-Hop: 1",
      "Keep-Alive: timeout=1",
      "Proxy-Authenticate: Basic",
      "X-Dinp-Error: unknown_host",
      "Set-Cookie: a=1",
      "Set-Cookie: b=2",
      "X-Request-Id: mine",
    ];
    const endpoint = await raw("i-1", ({ socket }) =>
      socket.write(`HTTP/1.1 418 I'm a teapot\r\n${fields.join("\r\n")}\r\n\r\nok`),
    );
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    expect(await client.send(GET).answer()).toMatchObject({ status: 418, body: "ok" });
    expect(client.text).toMatch(/^HTTP\/1\.1 418 I'm a teapot\r\n/);
    expect(client.text).toMatch(/Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
    expect(client.text).not.toMatch(/x-hop|proxy-|x-dinp|timeout=1\r|mine/i);
    client.socket.destroy();
  });

  it("38 sees a request that comes round to the router", async () => {
    const rig = await rigOf();
    await rig.publish([route("x.test", [{ instanceId: "loop", host: "127.0.0.1", port: rig.port }])]);
    const answer = await exchange(rig.port, GET);
    expect(answer.status).toBe(508);
    expect(rig.records.map(({ status }) => status)).toEqual([508, 508]);
  });
});

describe("failing endpoints", () => {
  it("tries every endpoint, and passes over those that failed", async () => {
    const rig = await rigOf();
    const good = await app("good");
    const dead = [await deadEndpoint("d1"), await deadEndpoint("d2"), await deadEndpoint("d3")];
    await rig.publish([route("x.test", [...dead, good.endpoint])]);
    const answers: number[] = [];
    for (let i = 0; i < 20; i += 1) {
      const post = `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`;
      answers.push((await exchange(rig.port, i % 2 === 0 ? post : GET)).status);
    }
    expect(answers).toEqual(Array.from({ length: 20 }, () => 200));
    expect(rig.records.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(20 + dead.length);
  });

  it("says 502 when none can be reached, and finds them again when they are back", async () => {
    const rig = await rigOf();
    const gone = await startAppEndpoint("gone");
    await rig.publish([route("x.test", [gone.endpoint, await deadEndpoint("dead")])]);
    await gone.close();
    const answer = await exchange(rig.port, GET);
    expect([answer.status, answer.fields.get("x-dinp-error")]).toEqual([502, "endpoint_failed"]);
    const back = await startAppEndpoint("gone");
    toClose.push(back);
    await rig.publish([route("x.test", [{ ...back.endpoint }, await deadEndpoint("dead")])]);
    expect((await exchange(rig.port, GET)).status).toBe(200);
  });

  it("repeats a GET whose connection broke, never a POST", async () => {
    const rig = await rigOf();
    const bad = await raw("a-bad", ({ socket }) => socket.destroy());
    const good = await raw("b-good");
    await rig.publish([route("x.test", [bad.endpoint, good.endpoint])]);
    expect((await exchange(rig.port, GET)).status).toBe(200);
    await rig.publish([]);
    await rig.publish([route("x.test", [bad.endpoint])]);
    const post = await exchange(rig.port, `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`);
    expect([post.status, post.fields.get("x-dinp-error")]).toEqual([502, "endpoint_failed"]);
    expect(parseRequests(bad.bytes()).requests.filter(({ line }) => line.startsWith("POST"))).toHaveLength(1);
  });

  it("36 repeats a request whose kept connection was closed at reuse, and ejects nobody", async () => {
    const rig = await rigOf();
    // Answers one request per connection, keeps it open, and drops it at the next one.
    const endpoint = await raw("i-1", ({ socket, text }) => {
      if (parseRequests(text).requests.length > 1) socket.resetAndDestroy();
      else socket.write(OK);
    });
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    for (let i = 0; i < 5; i += 1) expect((await exchange(rig.port, GET)).status).toBe(200);
    expect(rig.records.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1, 1]);
  });

  it("reuses connections to an endpoint", async () => {
    const rig = await rigOf();
    const endpoint = await raw("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    for (let i = 0; i < 10; i += 1) await exchange(rig.port, GET);
    expect(endpoint.connections).toHaveLength(1);
  });

  it.each([
    [
      "length and coding",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"],
    ["not HTTP", "SSH-2.0-OpenSSH_9.2\r\n"],
    [
      "a protocol nobody asked for",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    ],
    ["a flood of interim answers", "HTTP/1.1 102 Processing\r\n\r\n".repeat(5_000) + OK],
    ["fields of 1 MB", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(2 ** 20)}\r\n\r\n`],
  ])("35 answers 502 to an answer with %s", async (_, bytes) => {
    const rig = await rigOf();
    const endpoint = await raw("i-1", ({ socket }) => socket.write(bytes));
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const answer = await exchange(rig.port, GET);
    expect([answer.status, answer.fields.get("x-dinp-error")]).toEqual([502, "endpoint_failed"]);
    await until(() => endpoint.openConnections() === 0, "the end of the connection");
  });

  it("35 cuts an answer that is cut short, so that the client sees it", async () => {
    const rig = await rigOf();
    const endpoint = await raw("i-1", ({ socket }) =>
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    );
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    client.send(GET);
    await client.whenClosed();
    expect(client.answers()).toEqual([]);
    await until(() => rig.records.length === 1, "the record");
    expect(rig.records[0]).toMatchObject({ status: 200, complete: false });
  });

  it("answers 504 when no answer comes in time, and asks nobody else", async () => {
    const rig = await rigOf({ responseTimeoutMs: 50 });
    const [silent, other] = [await raw("a", () => {}), await raw("b")];
    await rig.publish([route("x.test", [silent.endpoint, other.endpoint])]);
    const answer = await exchange(rig.port, GET);
    expect([answer.status, answer.fields.get("x-dinp-error")]).toEqual([504, "endpoint_timeout"]);
    expect(other.bytes()).toBe("");
    await until(() => silent.openConnections() === 0, "the end of the connection");
  });

  it("27 passes 103 on, and only the final answer counts", async () => {
    const rig = await rigOf();
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    const endpoint = await raw("i-1", ({ socket }) => socket.write(hints + OK));
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    expect(await client.send(GET).answer(1)).toMatchObject({ status: 200 });
    expect(client.answers()[0]).toMatchObject({ status: 103 });
    client.socket.destroy();
  });
});

describe("clients", () => {
  it("26 asks for the body of a request that expects it to be asked for", async () => {
    const rig = await rigOf();
    const endpoint = await raw("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    client.send(`POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
    expect(await client.answer()).toMatchObject({ status: 100 });
    expect(await client.send("abc").answer(1)).toMatchObject({ status: 200 });
    expect(parseRequests(endpoint.bytes()).requests[0]?.body).toBe("abc");
    expect(fieldsOf(endpoint).has("expect")).toBe(false);
    client.socket.destroy();
  });

  it("26 does not ask for a body that no app will take", async () => {
    const rig = await rigOf();
    const answer = await exchange(
      rig.port,
      `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`,
    );
    expect(answer.status).toBe(503);
  });

  it("26 passes on an answer that comes before the body has ended", async () => {
    const rig = await rigOf();
    const endpoint = await raw("i-1", ({ socket, text }) => {
      if (text.endsWith("abc")) socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
      else if (text.startsWith("GET /next")) socket.write(OK);
    });
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nabc`);
    expect(await client.answer()).toMatchObject({ status: 413 });
    await until(() => endpoint.openConnections() === 0, "the end of the connection to the endpoint");
    client.send("def").send("ghi").send(GET.replace("/", "/next"));
    expect(await client.answer(1)).toMatchObject({ status: 200 });
    expect(endpoint.connections[0]?.text).not.toContain("next");
    client.socket.destroy();
  });

  it("32 answers a client that has closed its sending side", async () => {
    const rig = await rigOf();
    const endpoint = await app("i-1", (_, response) => setTimeout(() => response.end("late"), 50));
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    client.socket.end(GET);
    expect(await client.answer()).toMatchObject({ status: 200, body: "late" });
    await client.whenClosed();
  });

  it("32 does not wait for ever on behalf of a half-closed client", async () => {
    const rig = await rigOf({ halfClosedMs: 50 });
    const endpoint = await raw("i-1", () => {});
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    client.socket.end(GET);
    await client.whenClosed();
    await until(() => endpoint.openConnections() === 0, "the end of the connection to the endpoint");
  });

  it("answers pipelined requests one after the other, in order", async () => {
    const rig = await rigOf();
    let running = 0;
    let most = 0;
    const endpoint = await app("i-1", (request, response) => {
      running += 1;
      most = Math.max(most, running);
      setTimeout(() => {
        running -= 1;
        response.end(request.url);
      }, 5);
    });
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    const paths = Array.from({ length: 20 }, (_, i) => `/${String(i)}`);
    client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`).join(""));
    await client.answer(19);
    expect(client.answers().map(({ body }) => body)).toEqual(paths);
    expect(most).toBe(1);
    client.socket.destroy();
  });

  it("refuses what a client sends too far ahead", async () => {
    const rig = await rigOf();
    const endpoint = await app("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    client.send(GET.repeat(300));
    await client.whenClosed();
    const statuses = client.answers().map(({ status }) => status);
    expect(statuses).toEqual([...Array.from({ length: 100 }, () => 200), 503]);
  });

  it("33 ends a client that does not send its head", async () => {
    const rig = await rigOf({ headTimeoutMs: 100 });
    const client = (await RawClient.open(rig.port)).send("GET / HT");
    const answer = await client.answer();
    expect([answer.status, answer.fields.get("x-dinp-error")]).toEqual([408, "request_timeout"]);
    await client.whenClosed();
  });

  it("33 ends a client that does not send its body, or does not read", async () => {
    const rig = await rigOf({ clientIdleTimeoutMs: 150 });
    const endpoint = await app("i-1", (request, response) => {
      request.resume();
      if (request.url === "/big") response.end(Buffer.alloc(64 * 2 ** 20));
    });
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const slowBody = (await RawClient.open(rig.port)).send(
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nabc`,
    );
    const slowReader = (await RawClient.open(rig.port)).send(`GET /big HTTP/1.1\r\n${HOST}\r\n`);
    slowReader.socket.pause();
    expect(await slowBody.answer()).toMatchObject({ status: 408 });
    await until(
      async () => (await endpoint.openConnections()) === 0,
      "the end of every connection to the app",
    );
    for (const { socket } of [slowBody, slowReader]) socket.destroy();
  });
});

describe("replacing instances under load", () => {
  it("fails no request while every instance is replaced, one after the other", async () => {
    const rig = await rigOf();
    const statuses: number[] = [];
    let going = true;
    const load = async (client: RawClient): Promise<void> => {
      for (let i = 0; going; i += 1) {
        const body = i % 3 === 0 ? "Content-Length: 3\r\n\r\nabc" : "\r\n";
        client.send(`${i % 3 === 0 ? "POST" : "GET"} / HTTP/1.1\r\n${HOST}${body}`);
        statuses.push((await client.answer(i)).status);
      }
    };
    const letGo = async (instanceId: string): Promise<void> => {
      await until(async () => {
        const [said] = await rig.table.acknowledgements();
        const current = said?.version.revision === rig.follower.version()?.revision;
        return current && said?.busy.includes(instanceId) === false;
      }, `the end of the requests to ${instanceId}`);
    };
    const instances = [await startAppEndpoint("i-0"), await startAppEndpoint("i-1")];
    const publish = () =>
      rig.publish([
        route(
          "x.test",
          instances.map(({ endpoint }) => endpoint),
        ),
      ]);
    await publish();
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.open(rig.port)));
    const loads = clients.map(load);
    for (let i = 2; i < 10; i += 1) {
      instances.push(await startAppEndpoint(`i-${String(i)}`));
      await publish();
      await until(() => statuses.length >= 30 * i, "some requests with this set");
      const old = instances.shift();
      await publish();
      if (old !== undefined) await letGo(old.endpoint.instanceId);
      await old?.close();
    }
    going = false;
    await Promise.all(loads);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    for (const { socket } of clients) socket.destroy();
    for (const instance of instances) await instance.close();
  });
});

describe("start and close", () => {
  it("names a taken port and what to do", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = address !== null && typeof address !== "string" ? address.port : 0;
    const error = await startRouterRig({ listen: { host: "127.0.0.1", port } }).catch(
      (reason: unknown) => reason,
    );
    if (!isDinpError(error, "DINP_PORT_TAKEN")) throw new Error("expected DINP_PORT_TAKEN", { cause: error });
    expect(error.message).toContain(String(port));
    expect(error.hint).toContain("another port");
    await new Promise((resolve) => server.close(resolve));
  });

  it("refuses a malformed id and a malformed proxy address", async () => {
    await expect(startRouterRig({ routerId: "a b" })).rejects.toBeInstanceOf(TypeError);
    await expect(startRouterRig({ trustedProxies: ["10.0.0.0/99"] })).rejects.toMatchObject({
      code: "DINP_INVALID",
    });
  });

  it("lets requests in flight end, takes no new ones, and cuts what does not end", async () => {
    const rig = await rigOf();
    let answer = (): void => {};
    const endpoint = await app("i-1", (request, response) => {
      if (request.url === "/slow") answer = () => response.end("slow");
    });
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const idle = await RawClient.open(rig.port);
    const slow = (await RawClient.open(rig.port)).send(`GET /slow HTTP/1.1\r\n${HOST}\r\n`);
    const never = (await RawClient.open(rig.port)).send(`GET /never HTTP/1.1\r\n${HOST}\r\n`);
    await until(async () => (await endpoint.openConnections()) === 2, "both requests at the app");
    const closed = rig.router.close({ drainMs: 8_000 });
    await idle.whenClosed();
    await expect(RawClient.open(rig.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    answer();
    expect(await slow.answer()).toMatchObject({ status: 200, body: "slow" });
    await slow.whenClosed();
    await closed;
    await never.whenClosed();
    expect(never.answers()).toEqual([]);
  });
});
