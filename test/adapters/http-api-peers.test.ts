import { once } from "node:events";
import { createServer, request, type IncomingMessage, type RequestListener } from "node:http";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { createApiWorld, type ApiWorld } from "./http-api-world.js";
import { until } from "./support/until.js";

interface Peer extends AsyncDisposable {
  readonly url: string;
}

/** Another process of the cluster, which answers as the test says. */
async function peer(listener: RequestListener): Promise<Peer> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("It has no port.");
  return {
    url: `http://127.0.0.1:${String(address.port)}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** An API that does not lead. */
function follower(leaderUrl: string | null, builderUrl?: string): Promise<ApiWorld> {
  return createApiWorld({
    peers: {
      leads: () => false,
      leaderUrl: () => leaderUrl,
      ...(builderUrl === undefined ? {} : { builderUrl }),
    },
  });
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks).toString();
}

const codeOf = (text: string): unknown => (JSON.parse(text) as { error: { code: unknown } }).error.code;

describe("HTTP API: a server that does not lead", () => {
  it("answers what the store alone tells, and passes on the rest with its token, body and answer", async () => {
    const seen: string[] = [];
    await using leader = await peer((incoming, outgoing) => {
      void bodyOf(incoming).then((body) => {
        const { method = "", url = "", headers } = incoming;
        seen.push(`${method} ${url} ${headers.authorization ?? ""} ${body}`);
        outgoing
          .writeHead(202, { "x-from": "leader", "content-type": "application/json" })
          .end('{"by":"leader"}');
      });
    });
    await using api = await follower(leader.url);
    const token = `Bearer ${api.world.secret}`;
    for (const path of ["/v1/apps", "/v1/info", "/v1/builds", "/v1/events", "/openapi.json", "/healthz"])
      expect([path, (await api.raw({ method: "GET", path })).headers["x-from"]]).toEqual([path, undefined]);
    expect(seen).toEqual([]);
    const passedOn = [
      ["PUT", "/v1/apps/shop/scale?dry=1", '{"instances":3}'],
      ["DELETE", "/v1/apps/shop", ""],
      ["POST", "/v1/apps/shop/exec", '{"command":["x"]}'],
      ["GET", "/v1/apps/shop/logs?lines=3", ""],
      ["GET", "/v1/apps/shop/explain", ""],
      ["GET", "/v1/plan", ""],
      ["GET", "/v1/nodes", ""],
      ["POST", "/v1/apps/shop/builds", "x".repeat(100_000)],
    ] as const;
    for (const [method, path, body] of passedOn) {
      const answer = await api.raw({ method, path, ...(body === "" ? {} : { body }) });
      expect([path, answer.status, answer.headers["x-from"], answer.text]).toEqual([
        path,
        202,
        "leader",
        '{"by":"leader"}',
      ]);
    }
    expect(seen).toEqual(passedOn.map(([method, path, body]) => `${method} ${path} ${token} ${body}`));
  });

  it("sends builds to the builder, whoever leads", async () => {
    await using builder = await peer((incoming, outgoing) => {
      incoming.resume();
      outgoing.end("builder");
    });
    const leads = { leads: () => true, leaderUrl: () => null };
    await using api = await createApiWorld({ peers: { ...leads, builderUrl: builder.url } });
    for (const path of ["/v1/apps/a/builds", "/v1/apps/a/url-builds", "/v1/bases/b/archive"])
      expect((await api.raw({ method: "POST", path, body: "x" })).text).toBe("builder");
    const apps = await api.raw({ method: "GET", path: "/v1/apps" });
    expect(apps.status).toBe(200);
    expect((await api.raw({ method: "GET", path: "/v1/builds" })).text).not.toBe("builder");
  });

  it("says so when nobody leads, and passes nothing on a second time", async () => {
    await using nobody = await follower(null);
    const refused = await nobody.raw({ method: "PUT", path: "/v1/apps/shop/scale", body: "{}" });
    expect([refused.status, codeOf(refused.text), refused.headers["retry-after"]]).toEqual([
      503,
      "DINP_UNAVAILABLE",
      "1",
    ]);
    // Two servers that each take the other one for the leader.
    await using other = await follower("http://127.0.0.1:9");
    await using one = await follower(other.url);
    const turned = await one.raw({ method: "DELETE", path: "/v1/apps/shop" });
    expect([turned.status, codeOf(turned.text)]).toEqual([503, "DINP_UNAVAILABLE"]);
    expect(turned.text).toContain("No server leads");
  });

  it("tells a request that reached nobody from one of which nothing is known", async () => {
    await using away = await follower("http://127.0.0.1:9");
    const unsent = await away.raw({ method: "DELETE", path: "/v1/apps/shop" });
    expect([unsent.status, codeOf(unsent.text)]).toEqual([503, "DINP_UNAVAILABLE"]);
    expect(unsent.text).toContain("http://127.0.0.1:9, did not answer");
    await using dying = await peer((incoming) => incoming.socket.destroy());
    await using api = await follower(dying.url);
    const unknown = await api.raw({ method: "DELETE", path: "/v1/apps/shop" });
    expect([unknown.status, codeOf(unknown.text)]).toEqual([503, "DINP_COMMIT_UNKNOWN"]);
    const read = await api.raw({ method: "GET", path: "/v1/nodes" });
    expect(codeOf(read.text)).toBe("DINP_UNAVAILABLE");
  });

  it("hands interim answers and streams on as they come, and ends both sides when one goes", async () => {
    let gone = false;
    let go: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => (go = resolve));
    await using leader = await peer((incoming, outgoing) => {
      incoming.resume();
      outgoing.once("close", () => (gone = true));
      outgoing.writeProcessing();
      void ready.then(() => {
        outgoing.writeHead(200, { "content-type": "application/x-ndjson" });
        outgoing.write('{"line":1}\n');
      });
    });
    await using api = await follower(leader.url);
    const asking = request(`${api.url}/v1/apps/shop/logs?follow=true`, {
      headers: { authorization: `Bearer ${api.world.secret}` },
    });
    asking.end();
    const [interim] = (await once(asking, "information")) as [{ statusCode: number }];
    expect(interim.statusCode).toBe(102);
    go();
    const [answer] = (await once(asking, "response")) as [IncomingMessage];
    const [first] = (await once(answer, "data")) as [Buffer];
    expect(first.toString()).toBe('{"line":1}\n');
    answer.on("error", () => undefined);
    asking.destroy();
    await until(() => Promise.resolve(gone), "the leader's end of it");
  });

  it("takes fields that are of one connection from no client", async () => {
    const headers: IncomingMessage["headers"][] = [];
    await using leader = await peer((incoming, outgoing) => {
      headers.push(incoming.headers);
      outgoing.setHeader("connection", "x-secret");
      outgoing.setHeader("x-secret", "1");
      outgoing.end("{}");
    });
    await using api = await follower(leader.url);
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      "GET /v1/nodes HTTP/1.1\r\nHost: api\r\nConnection: close, x-mine\r\nX-Mine: 1\r\nTE: trailers\r\nX-Kept: 1\r\n\r\n",
    );
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    expect(headers[0]).toMatchObject({
      "x-kept": "1",
      "dinp-forwarded": "1",
      host: new URL(leader.url).host,
    });
    expect(Object.keys(headers[0] ?? {})).not.toEqual(expect.arrayContaining(["x-mine"]));
    expect(headers[0]?.["te"]).toBeUndefined();
    expect(text.toLowerCase()).not.toContain("x-secret: 1");
  });
});
