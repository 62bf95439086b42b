import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { createApiWorld } from "./http-api-world.js";
import { codeOf, startServer, TestDash, TOKEN } from "./dash-support.js";

const SESSION = { path: "/api/v1/session" };

async function signedIn(options: Parameters<typeof TestDash.start>[0] = {}): Promise<TestDash> {
  const server = await startServer();
  const dash = await TestDash.start({ servers: [server.url], ...options });
  expect((await dash.signIn()).status).toBe(200);
  return dash;
}

describe("a session", () => {
  it("is begun by a token that the API knows, and by no other", async () => {
    const world = await createApiWorld();
    onTestFinished(() => world[Symbol.asyncDispose]());
    const dash = await TestDash.start({ servers: [world.url] });
    const refused = await dash.signIn("dinp_wrong");
    expect([refused.status, codeOf(refused), refused.headers["set-cookie"]]).toEqual([
      401,
      "DINP_UNAUTHENTICATED",
      undefined,
    ]);
    expect((await dash.ask(SESSION)).status).toBe(401);
    const { secret } = world.world;
    const taken = await dash.signIn(secret);
    expect([taken.status, taken.text]).toEqual([
      200,
      (await world.raw({ method: "GET", path: "/v1/session" })).text,
    ]);
    const asked = await dash.ask(SESSION);
    expect([asked.status, asked.text]).toEqual([200, taken.text]);
    const told = JSON.stringify([refused, taken, asked, dash.logger.lines, dash.cookie]);
    expect(told).not.toContain(secret);
  });

  it("is a cookie that scripts and other sites do not get; over TLS under a name that no other host can set", async () => {
    const server = await startServer();
    const plain = await TestDash.start({ servers: [server.url] });
    const [cookie] = (await plain.signIn()).headers["set-cookie"] ?? [];
    expect(cookie).toMatch(/^dinp-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/);
    const tls = await TestDash.start({ servers: [server.url], publicUrl: "https://dash.example.com" });
    const origin = "https://dash.example.com";
    const answer = await tls.signIn(TOKEN, { origin });
    expect(answer.headers["set-cookie"]?.[0]).toMatch(
      /^__Host-dinp-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure; Max-Age=43200$/,
    );
    expect(answer.headers["strict-transport-security"]).toBe("max-age=31536000");
    expect((await tls.ask(SESSION)).status).toBe(200);
  });

  it("ends by signing out: its cookie is worth nothing after it", async () => {
    const dash = await signedIn();
    expect(dash.dash.sessions).toBe(1);
    const out = await dash.ask({ method: "DELETE", path: "/session" });
    expect(out.headers["set-cookie"]?.[0]).toMatch(/^dinp-session=;.*Max-Age=0$/);
    const later = await dash.ask(SESSION);
    expect([later.status, codeOf(later), dash.dash.sessions]).toEqual([401, "DINP_UNAUTHENTICATED", 0]);
  });

  it("gets a new id at each sign-in, and the one before ends", async () => {
    const dash = await signedIn();
    const before = dash.cookie;
    await dash.signIn();
    expect(dash.cookie).not.toBe(before);
    expect((await dash.ask(SESSION)).status).toBe(200);
    expect((await dash.ask({ ...SESSION, headers: { cookie: before } })).status).toBe(401);
  });

  it("is never one that a browser made up, nor one of two", async () => {
    const dash = await signedIn();
    const made = `dinp-session=${"A".repeat(43)}`;
    for (const cookie of [made, `${made}; ${dash.cookie}`, `${dash.cookie}; ${made}`, "dinp-session=", ""])
      expect((await dash.ask({ ...SESSION, headers: { cookie } })).status).toBe(401);
    await dash.signIn(TOKEN, { cookie: made });
    expect(dash.cookie).not.toBe(made);
  });

  it("ends after its time", async () => {
    const dash = await signedIn({ sessionMs: 60_000 });
    dash.clock.passedMs += 59_999;
    expect((await dash.ask(SESSION)).status).toBe(200);
    dash.clock.passedMs += 1;
    expect([(await dash.ask(SESSION)).status, dash.dash.sessions]).toEqual([401, 0]);
  });

  it("ends for a newer one when there are too many", async () => {
    const dash = await signedIn({ sessionsMax: 2 });
    const first = dash.cookie;
    dash.cookie = "";
    await dash.signIn();
    dash.cookie = "";
    await dash.signIn();
    expect((await dash.ask({ ...SESSION, headers: { cookie: first } })).status).toBe(401);
    expect([(await dash.ask(SESSION)).status, dash.dash.sessions]).toEqual([200, 2]);
  });

  it("ends when the API knows its token no more", async () => {
    const server = await startServer((_request, response) => {
      response.writeHead(401, { "content-type": "application/json" }).end("{}");
    });
    const dash = await TestDash.start({ servers: [server.url] });
    await dash.signIn();
    const answer = await dash.ask({ path: "/api/v1/apps" });
    expect([answer.status, dash.dash.sessions]).toEqual([401, 0]);
    expect(answer.headers["set-cookie"]?.[0]).toContain("Max-Age=0");
  });
});

describe("a request to sign in", () => {
  it.each([
    ["no JSON", "token", { "content-type": "application/json" }, 400],
    ["a form", "token=x", { "content-type": "application/x-www-form-urlencoded" }, 400],
    ["text", JSON.stringify({ token: TOKEN }), { "content-type": "text/plain" }, 400],
    [
      "another type of token",
      JSON.stringify({ token: [TOKEN] }),
      { "content-type": "application/json" },
      400,
    ],
    [
      "a token of two lines",
      JSON.stringify({ token: "a\r\nb: c" }),
      { "content-type": "application/json" },
      400,
    ],
    [
      "a token of 600 characters",
      JSON.stringify({ token: "x".repeat(600) }),
      { "content-type": "application/json" },
      400,
    ],
    [
      "a megabyte",
      JSON.stringify({ token: "x".repeat(1_000_000) }),
      { "content-type": "application/json" },
      413,
    ],
  ])("with %s is refused, and told without what was sent", async (_name, body, headers, status) => {
    const server = await startServer();
    const dash = await TestDash.start({ servers: [server.url] });
    const answer = await dash.ask({ method: "POST", path: "/session", body, headers });
    expect([answer.status, answer.headers["set-cookie"]]).toEqual([status, undefined]);
    expect(answer.text).not.toContain("xxx");
    expect(answer.text).not.toContain(TOKEN);
  });

  it("whose body does not come is given up", async () => {
    const server = await startServer();
    const dash = await TestDash.start({ servers: [server.url], timeouts: { answerMs: 50 } });
    const asked = httpRequest(new URL("/session", dash.origin), {
      method: "POST",
      agent: false,
      headers: { origin: dash.origin, "content-length": "20" },
    });
    asked.on("error", () => undefined);
    asked.write("{");
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(504);
    asked.destroy();
  });
});

describe("requests that other sites have a browser send", () => {
  const foreign = ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"];

  it.each(["POST", "PUT", "PATCH", "DELETE"])("change nothing: %s", async (method) => {
    const server = await startServer();
    const dash = await TestDash.start({ servers: [server.url] });
    await dash.signIn();
    const path = "/api/v1/apps/shop";
    for (const origin of [...foreign, undefined]) {
      const answer = await dash.ask({ method, path, headers: { origin } });
      expect([origin, answer.status, codeOf(answer)]).toEqual([origin, 403, "DINP_FORBIDDEN"]);
    }
    for (const site of ["cross-site", "same-site"])
      expect((await dash.ask({ method, path, headers: { "sec-fetch-site": site } })).status).toBe(403);
    expect(server.asked).toEqual([]);
    expect((await dash.ask({ method, path, headers: { "sec-fetch-site": "same-origin" } })).status).toBe(200);
    expect(server.asked).toEqual([`${method} /v1/apps/shop`]);
  });

  it("neither sign in nor out", async () => {
    const dash = await signedIn();
    for (const origin of foreign) {
      expect((await dash.signIn(TOKEN, { origin })).status).toBe(403);
      expect((await dash.ask({ method: "DELETE", path: "/session", headers: { origin } })).status).toBe(403);
    }
    expect(dash.dash.sessions).toBe(1);
  });

  it("read nothing", async () => {
    const dash = await signedIn();
    for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "http://evil.example" }])
      expect((await dash.ask({ ...SESSION, headers })).status).toBe(403);
    const { headers } = await dash.ask(SESSION);
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    expect(headers["cross-origin-resource-policy"]).toBe("same-origin");
  });

  it("by http, where the dashboard is one of https", async () => {
    const server = await startServer();
    const dash = await TestDash.start({ servers: [server.url], publicUrl: "https://dash.example.com" });
    expect((await dash.signIn()).status).toBe(403);
    expect((await dash.signIn(TOKEN, { origin: "http://dash.example.com" })).status).toBe(403);
  });
});
