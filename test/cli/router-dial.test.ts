import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterEach, beforeEach, expect, it } from "vitest";
import { dialRouter, type RouterAnswer } from "../../src/adapters/cli/router-dial.js";

let server: Server;
let routerUrl: string;

beforeEach(async () => {
  server = createServer((request, answer) => {
    if (request.headers.host === "known.apps.localhost:81" && request.url === "/a?b") {
      answer.writeHead(503).write("a body without an end");
    } else if (request.headers.host !== "silent.apps.localhost") {
      answer.writeHead(404, { "x-dinp-error": "unknown-host" }).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  routerUrl = `http://127.0.0.1:${String(typeof address === "object" && address !== null ? address.port : 0)}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

function dial(url: string, signal = new AbortController().signal, timeoutMs = 60_000): Promise<RouterAnswer> {
  return dialRouter({ routerUrl, url, timeoutMs, signal });
}

it("asks the router for a host that does not resolve, and reads only the head", async () => {
  expect(await dial("http://known.apps.localhost:81/a?b")).toEqual({ kind: "answered", status: 503 });
});

it("tells the router's own errors from the app's", async () => {
  expect(await dial("http://other.apps.localhost/")).toEqual({
    kind: "router-error",
    code: "unknown-host",
    status: 404,
  });
});

it("dials a router that listens on every address on this machine", async () => {
  routerUrl = routerUrl.replace("127.0.0.1", "0.0.0.0");
  expect((await dial("http://other.apps.localhost/")).kind).toBe("router-error");
});

it("bounds its wait", async () => {
  const answer = await dial("http://silent.apps.localhost/", new AbortController().signal, 50);
  expect(answer).toEqual({ kind: "unreachable", reason: "no answer within 50 ms" });
});

it("ends at once when it is told to", async () => {
  const controller = new AbortController();
  const arrived = once(server, "request");
  const answer = dial("http://silent.apps.localhost/", controller.signal);
  await arrived;
  controller.abort();
  expect((await answer).kind).toBe("unreachable");
});

it("says that nobody listens", async () => {
  server.close();
  await once(server, "close");
  expect(await dial("http://known.apps.localhost/")).toEqual({
    kind: "unreachable",
    reason: "connection refused",
  });
  server.listen(0);
  await once(server, "listening");
});
