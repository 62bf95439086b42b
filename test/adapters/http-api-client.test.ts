import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { createClient } from "@dinp/core/client";
import { describe, expect, it } from "vitest";
import { createNodeExchange } from "../../src/adapters/cli/node-exchange.js";
import { exchangeByFetch } from "../../src/adapters/http-api/exchange.js";
import { archiveOf, nodeApp, testNode } from "../platform/world.js";
import { createApiWorld, type ApiWorld } from "./http-api-world.js";

const exchanges = [
  ["fetch", exchangeByFetch(fetch)],
  ["Node's own HTTP client", createNodeExchange()],
] as const;

describe.each(exchanges)("client by %s", (_name, exchange) => {
  it("does all that a user does, end to end", async () => {
    await using api = await createApiWorld({ exchange });
    const { client, world } = api;
    expect(await client.info()).toMatchObject({
      appsDomain: "apps.localhost",
      routerUrl: "http://127.0.0.1:8080",
    });
    expect(await client.session()).toEqual({ subject: "admin", role: "admin" });
    const build = await client.createBuild("hello", archiveOf(nodeApp), { command: "node server.js" });
    expect(build).toMatchObject({ state: "succeeded", command: ["/bin/sh", "-c", "exec node server.js"] });
    expect(await client.getBuild("hello", build.id)).toEqual(build);
    const release = await client.createRelease("hello", { buildId: build.id, instances: 2, env: { A: "1" } });
    expect(release).toMatchObject({ number: 1, envNames: ["A"], unchanged: false });
    expect(await client.listApps()).toMatchObject([{ name: "hello", instances: 2 }]);
    expect(await client.getRollout("hello", 1)).toMatchObject({ state: "pending", wanted: 2 });
    await world.endRollout("hello", "complete");
    expect(await client.changeEnv("hello", { set: { B: "2" }, unset: ["A"] })).toMatchObject({ number: 2 });
    expect(await client.getEnv("hello")).toEqual({ env: { B: "2" }, manifestEnv: {}, secrets: {} });
    expect(await client.rollback("hello")).toMatchObject({ number: 3, note: "rollback to 1" });
    expect((await client.listReleases("hello")).map(({ number }) => number)).toEqual([3, 2, 1]);
    expect(await client.addDomain("hello", { host: "www.example.org" })).toEqual({
      host: "www.example.org",
      path: "/",
    });
    expect(await client.listDomains("hello")).toHaveLength(1);
    await client.removeDomain("hello", { host: "www.example.org" });
    expect(await client.listDomains("hello")).toEqual([]);
    expect((await client.scaleApp("hello", { instances: 3 })).instances).toBe(3);
    expect((await client.stopApp("hello")).desired).toBe("stopped");
    expect((await client.startApp("hello")).desired).toBe("running");
    await world.put("node", testNode);
    expect(await client.listNodes()).toMatchObject([{ id: "node-1", instances: 0 }]);
    expect((await client.listEvents({ app: "hello", limit: 2 })).map(({ type }) => type)).toEqual([
      "app.stopped",
      "app.started",
    ]);
    await client.deleteApp("hello");
    expect((await client.getApp("hello")).state).toBe("deleting");
  });

  it("follows a rollout to its end, skipping heartbeats", async () => {
    await using api = await createApiWorld({ exchange, heartbeatMs: 5 });
    const number = await api.world.push("hello");
    const states: string[] = [];
    for await (const view of api.client.followRollout("hello", number)) {
      states.push(view.state);
      if (view.state === "pending") {
        await new Promise((resolve) => setTimeout(resolve, 50));
        await api.world.endRollout("hello", "running");
      } else if (view.state === "running") await api.world.endRollout("hello", "complete");
    }
    expect(states).toEqual(["pending", "running", "complete"]);
  });

  it("reads logs, follows them until its signal aborts, and gets errors with their code", async () => {
    await using api = await createApiWorld({ exchange });
    await api.world.push("hello");
    await api.world.place("hello", "i-1", true);
    api.world.logLines.set("i-1", ["one", "two \u001b[31m", "drei \u00e4"]);
    const lines: string[] = [];
    for await (const line of api.client.logs("hello", { tail: 2 })) lines.push(line.text);
    expect(lines).toEqual(["two \u001b[31m", "drei \u00e4"]);
    const stop = new AbortController();
    const follow = api.client
      .logs("hello", { follow: true }, { signal: stop.signal })
      [Symbol.asyncIterator]();
    for (let index = 0; index < 3; index += 1) await follow.next();
    const end = follow.next();
    stop.abort();
    expect((await end).done).toBe(true);
    const missing = api.client.logs("missing")[Symbol.asyncIterator]();
    await expect(missing.next()).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
  });

  it("refuses more streams than may be open, and frees a place when its reader goes", async () => {
    await using api = await createApiWorld({ exchange, streamsMax: 1, heartbeatMs: 20 });
    await api.world.push("hello");
    const first = api.client.followEvents()[Symbol.asyncIterator]();
    await first.next();
    expect(await canFollow(api)).toBe(false);
    await first.return?.();
    await expect.poll(() => canFollow(api), { timeout: 60_000 }).toBe(true);
  });

  it("lets a client go that does not read its stream", async () => {
    await using api = await createApiWorld({ exchange, streamsMax: 1, heartbeatMs: 20, stallMs: 8_000 });
    await api.world.push("hello");
    await api.world.place("hello", "i-1", true);
    api.world.logLines.set(
      "i-1",
      Array.from({ length: 9_000 }, () => "x".repeat(4_000)),
    );
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    const head = ["GET /v1/apps/hello/logs?tail=9000&follow=true HTTP/1.1", "Host: x"];
    socket.write([...head, `Authorization: Bearer ${api.world.secret}`, "", ""].join("\r\n"));
    await new Promise((resolve) => socket.once("readable", resolve));
    expect(await canFollow(api)).toBe(false);
    await expect.poll(() => canFollow(api), { timeout: 60_000 }).toBe(true);
    socket.destroy();
  });

  it("says that nobody answers, and what to do", async () => {
    const closed = await serve(() => null);
    await closed[Symbol.asyncDispose]();
    const client = createClient({ url: closed.url, token: "x", exchange });
    await expect(client.listApps()).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      message: `Cannot reach the API at ${closed.url} (connection refused).`,
      hint: expect.stringContaining("`dinp up`") as string,
    });
    const stream = client.followEvents()[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    for (const url of ["", "127.0.0.1:7070", "ftp://x", "nonsense"]) {
      expect(() => createClient({ url })).toThrow(expect.objectContaining({ code: "DINP_INVALID" }) as Error);
    }
  });

  it("says when the other side is something else, is silent, or cuts a stream", async () => {
    await using other = await serve((path) => {
      if (path === "/v1/nodes") return null;
      if (path.startsWith("/v1/events")) return "cut";
      return "<html>hello</html>";
    });
    const client = createClient({ url: other.url, exchange, timeoutMs: 5_000, idleTimeoutMs: 5_000 });
    await expect(client.listApps()).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      message: expect.stringContaining("does not answer like a DINP API") as string,
    });
    await expect(client.listNodes()).rejects.toMatchObject({ code: "DINP_TIMEOUT" });
    const cut = client.followEvents()[Symbol.asyncIterator]();
    expect((await cut.next()).value).toEqual({ id: "evt-1" });
    await expect(cut.next()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    const stop = new AbortController();
    const aborted = client.listNodes({ signal: stop.signal });
    stop.abort();
    await expect(aborted).rejects.toMatchObject({ code: "DINP_ABORTED" });
  });

  it("repeats a write that got no answer under the same key, so that it happens once", async () => {
    await using api = await createApiWorld({ exchange });
    await api.world.push("hello");
    const keys: (string | undefined)[] = [];
    const client = createClient({
      url: api.url,
      token: api.world.secret,
      exchange: async (request) => {
        const answer = await exchange(request);
        keys.push(request.headers["idempotency-key"]);
        for await (const chunk of answer.bytes) expect(chunk.length).toBeGreaterThan(0);
        if (keys.length < 3) throw new TypeError("fetch failed");
        return exchange(request);
      },
    });
    expect(await client.changeEnv("hello", { set: { A: "1" } })).toMatchObject({
      number: 2,
      unchanged: false,
    });
    expect(new Set(keys).size).toBe(1);
    expect(await api.world.records("release")).toHaveLength(2);
  });

  it("leaves an upload that is refused before it has come whole, and says why", async () => {
    await using api = await createApiWorld({ exchange });
    let isLetGo = false;
    const endless = {
      async *[Symbol.asyncIterator]() {
        try {
          for (;;) {
            await new Promise((resolve) => setImmediate(resolve));
            yield new Uint8Array(65_536);
          }
        } finally {
          isLetGo = true;
        }
      },
    };
    const stranger = createClient({ url: api.url, token: "of-nobody", exchange });
    await expect(stranger.createBuild("hello", endless)).rejects.toMatchObject({
      code: "DINP_UNAUTHENTICATED",
    });
    await expect.poll(() => isLetGo).toBe(true);
  });

  it("says when an answer breaks off in the middle", async () => {
    await using other = await serve(() => "half");
    const client = createClient({ url: other.url, exchange });
    await expect(client.listNodes()).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
  });

  it("takes redirects and texts of several bytes for what they are", async () => {
    await using other = await serve((path) =>
      path === "/v1/nodes" ? "moved" : JSON.stringify({ version: "ä".repeat(100_000) }),
    );
    const client = createClient({ url: other.url, exchange });
    expect((await client.info()).version).toBe("ä".repeat(100_000));
    await expect(client.listNodes()).rejects.toMatchObject({
      message: expect.stringContaining("(status 307)") as string,
    });
  });

  it("passes on why the upload's own source failed", async () => {
    await using api = await createApiWorld({ exchange });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(0x1f, 0x8b);
      await Promise.resolve();
      throw new Error("disk on fire");
    }
    await expect(api.client.createBuild("hello", broken())).rejects.toThrow("disk on fire");
  });

  it("uploads only as fast as the other side takes it", async () => {
    await using other = await serve(() => null);
    let sent = 0;
    let isLetGo = false;
    const endless = {
      async *[Symbol.asyncIterator]() {
        try {
          for (;;) {
            await Promise.resolve();
            sent += 65_536;
            yield new Uint8Array(65_536);
          }
        } finally {
          isLetGo = true;
        }
      },
    };
    const stop = new AbortController();
    const upload = createClient({ url: other.url, exchange }).createBuild("hello", endless, {
      signal: stop.signal,
    });
    let last = -1;
    await expect
      .poll(
        () => {
          const same = sent > 0 && sent === last;
          last = sent;
          return same;
        },
        { interval: 200, timeout: 60_000 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    stop.abort();
    await expect(upload).rejects.toMatchObject({ code: "DINP_ABORTED" });
    await expect.poll(() => isLetGo).toBe(true);
  });
});

/** True when one more stream may be opened now. */
async function canFollow({ client }: ApiWorld): Promise<boolean> {
  const events = client.followEvents()[Symbol.asyncIterator]();
  try {
    await events.next();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "DINP_BUSY" });
    return false;
  } finally {
    await events.return?.();
  }
}

/** A server that is no DINP API. `null` never answers and reads nothing; `cut` breaks off after one line, `half` in it. */
async function serve(
  answer: (path: string) => string | null,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    const text = answer(request.url ?? "");
    if (text === null) return;
    if (text === "cut") {
      response.write('{"id":"evt-1"}\n', () => setTimeout(() => response.destroy(), 20));
      return;
    }
    if (text === "half") {
      response.writeHead(200, { "content-length": "1000" });
      response.write('{"items":', () => setTimeout(() => response.destroy(), 20));
      return;
    }
    if (text === "moved") {
      response.writeHead(307, { location: "/v1/info" }).end();
      return;
    }
    response.end(text);
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      resolve();
    }),
  );
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
