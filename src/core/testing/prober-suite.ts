import assert from "node:assert/strict";
import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from "node:net";
import { isDinpError } from "../model/errors.js";
import type { Prober, ProbeResult, ProbeTarget } from "../ports/prober.js";
import type { ConformanceCase } from "./conformance.js";

export interface ProberSuiteOptions {
  /** A prober that does at least 16 probes at the same time. */
  readonly create: () => Prober | Promise<Prober>;
}

type Check = ProbeTarget["check"];

const HTTP: Check = { type: "http", path: "/health?x=1", statusMin: 200, statusMax: 399 };
const TCP: Check = { ...HTTP, type: "tcp" };

/** The contract of the `Prober` port, case by case, against servers on 127.0.0.1. */
export function proberSuite(options: ProberSuiteOptions): readonly ConformanceCase[] {
  return Object.entries(cases).map(([name, run]) => ({
    name,
    run: async () => {
      await run(await options.create());
    },
  }));
}

const cases: Readonly<Record<string, (prober: Prober) => Promise<void>>> = {
  "succeeds on a status in the range, asking once with GET and the target's host": async (prober) => {
    const asked: string[] = [];
    await withHttp(
      (request, response) => {
        asked.push(`${String(request.method)} ${String(request.url)} ${String(request.headers.host)}`);
        response.statusCode = 302;
        response.end("elsewhere");
      },
      async (port) => {
        const result = await probe(prober, port, HTTP);
        assert.deepEqual({ ...result, latencyMs: 0 }, { outcome: "success", latencyMs: 0, status: 302 });
        assert.deepEqual(asked, [`GET /health?x=1 127.0.0.1:${String(port)}`]);
      },
    );
  },

  "fails on a status outside the range, with the beginning of the answer": async (prober) => {
    const answer: RequestListener = (_, response) => {
      response.statusCode = 503;
      response.end(`warming\r\n\u001b[31m up\0${"x".repeat(10_000)}`);
    };
    await withHttp(answer, async (port) => {
      const result = failureOf(await probe(prober, port, HTTP));
      assert.match(result.reason, /503/);
      assert.match(result.firstBytes, /^warming \[31m up x+$/);
      assert.ok(result.firstBytes.length <= 200, "at most 200 characters");
    });
  },

  "fails where nothing listens": async (prober) => {
    let free = 0;
    await withTcp(ignore, (port) => {
      free = port;
      return Promise.resolve();
    });
    for (const check of [HTTP, TCP])
      assert.match(failureOf(await probe(prober, free, check)).reason, /refused/);
  },

  "fails in time when no answer comes": async (prober) => {
    await withTcp(ignore, async (port) => {
      const before = performance.now();
      const result = failureOf(await probe(prober, port, HTTP, 100));
      const tookMs = performance.now() - before;
      assert.match(result.reason, /100 ms/);
      assert.ok(tookMs >= 95 && tookMs < 2_000, `took ${String(tookMs)} ms`);
    });
  },

  "fails in time when the head comes in drops": async (prober) => {
    const drip = (socket: Socket): void => {
      const timer = setInterval(() => socket.write("X"), 10);
      socket.write("HTTP/1.1 200 OK\r\nX: ");
      socket.once("close", () => {
        clearInterval(timer);
      });
    };
    await withTcp(drip, async (port) => {
      failureOf(await probe(prober, port, HTTP, 100));
    });
  },

  "fails on an answer that is not HTTP, and on a connection that is closed": async (prober) => {
    await withTcp(
      (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"),
      async (port) => {
        failureOf(await probe(prober, port, HTTP));
      },
    );
    await withTcp(
      (socket) => socket.destroy(),
      async (port) => {
        failureOf(await probe(prober, port, HTTP));
      },
    );
  },

  "does not wait for the end of the body": async (prober) => {
    const endless: RequestListener = (request, response) => {
      response.statusCode = request.url === "/bad" ? 500 : 200;
      response.write("begun");
    };
    await withHttp(endless, async (port) => {
      assert.equal((await probe(prober, port, HTTP)).outcome, "success");
      assert.equal(failureOf(await probe(prober, port, { ...HTTP, path: "/bad" })).firstBytes, "begun");
    });
  },

  "succeeds by connecting alone where that is the check": async (prober) => {
    await withTcp(ignore, async (port) => {
      const result = await probe(prober, port, TCP);
      assert.deepEqual({ ...result, latencyMs: 0 }, { outcome: "success", latencyMs: 0, status: null });
    });
  },

  "uses a fresh connection for each probe and leaves none": async (prober) => {
    let opened = 0;
    let open = 0;
    const server = createServer((_, response) => response.end("ok"));
    server.on("connection", (socket) => {
      opened += 1;
      open += 1;
      socket.once("close", () => {
        open -= 1;
      });
    });
    await withServer(server, async (port) => {
      await Promise.all(Array.from({ length: 16 }, () => probe(prober, port, HTTP)));
      assert.equal(opened, 16);
      await waitFor(() => open === 0);
    });
  },

  "rejects with DINP_ABORTED, before and during a probe": async (prober) => {
    await withTcp(ignore, async (port) => {
      const target: ProbeTarget = { host: "127.0.0.1", port, check: HTTP };
      const abort = new AbortController();
      const during = prober.probe(target, { timeoutMs: 10_000, signal: abort.signal });
      setTimeout(() => {
        abort.abort();
      }, 20);
      await assert.rejects(during, (error) => isDinpError(error, "DINP_ABORTED"));
      const before = prober.probe(target, { timeoutMs: 10_000, signal: abort.signal });
      await assert.rejects(before, (error) => isDinpError(error, "DINP_ABORTED"));
    });
  },

  "rejects misuse with a TypeError": async (prober) => {
    const bad = probe(prober, 1, { ...HTTP, path: "/a b" });
    await assert.rejects(bad, TypeError);
  },
};

function probe(prober: Prober, port: number, check: Check, timeoutMs = 5_000): Promise<ProbeResult> {
  const { signal } = new AbortController();
  return prober.probe({ host: "127.0.0.1", port, check }, { timeoutMs, signal });
}

function failureOf(result: ProbeResult): Extract<ProbeResult, { readonly outcome: "failure" }> {
  if (result.outcome !== "failure") assert.fail(`expected a failure, got ${JSON.stringify(result)}`);
  return result;
}

function ignore(socket: Socket): void {
  socket.resume();
}

function withHttp(listener: RequestListener, run: (port: number) => Promise<void>): Promise<void> {
  return withServer(createServer(listener), run);
}

function withTcp(accept: (socket: Socket) => void, run: (port: number) => Promise<void>): Promise<void> {
  return withServer(createTcpServer(accept), run);
}

async function withServer(
  server: HttpServer | TcpServer,
  run: (port: number) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  try {
    await run(address.port);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
}

async function waitFor(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > end) assert.fail("a condition did not come true within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
