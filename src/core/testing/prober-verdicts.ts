import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { listenDeaf } from "./deaf-listener.js";
import { deadPort, withHttp, withTcp } from "./local-servers.js";
import { failureOf, failureWithin, HTTP, ignore, probe, TCP, type ProberCases } from "./prober-harness.js";

/** What the `Prober` port says of what is success and what is failure. */
export const verdictCases: ProberCases = {
  "succeeds on a status in the range, asking once with GET and the target's host": async (prober) => {
    const asked: string[] = [];
    await withHttp(
      (request, response) => {
        asked.push(`${String(request.method)} ${String(request.url)} ${String(request.headers.host)}`);
        response.end("ok");
      },
      async (port) => {
        const result = await probe(prober, port, HTTP);
        assert.deepEqual({ ...result, latencyMs: 0 }, { outcome: "success", latencyMs: 0, status: 200 });
        assert.deepEqual(asked, [`GET /health?x=1 127.0.0.1:${String(port)}`]);
      },
    );
  },

  "takes both ends of the range for success, and what is beyond them for failure": async (prober) => {
    const check = { ...HTTP, statusMin: 201, statusMax: 404 };
    const answer: RequestListener = (request, response) => {
      response.statusCode = Number(request.url?.slice(1));
      response.end();
    };
    await withHttp(answer, async (port) => {
      const outcomes: string[] = [];
      for (const status of [200, 201, 404, 405]) {
        outcomes.push((await probe(prober, port, { ...check, path: `/${String(status)}` })).outcome);
      }
      assert.deepEqual(outcomes, ["failure", "success", "success", "failure"]);
    });
  },

  "takes a redirect for the answer": async (prober) => {
    const asked: string[] = [];
    const redirect: RequestListener = (request, response) => {
      asked.push(request.url ?? "");
      response.statusCode = request.url === "/elsewhere" ? 200 : 302;
      response.setHeader("location", "/elsewhere");
      response.end();
    };
    await withHttp(redirect, async (port) => {
      const reason = failureOf(await probe(prober, port, { ...HTTP, path: "/", statusMax: 299 })).reason;
      assert.match(reason, /302/);
      assert.deepEqual(asked, ["/"]);
    });
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

  "has no first bytes where there is no body": async (prober) => {
    const answer: RequestListener = (_, response) => {
      response.statusCode = 500;
      response.end();
    };
    await withHttp(answer, async (port) => {
      assert.equal(failureOf(await probe(prober, port, HTTP)).firstBytes, "");
    });
  },

  "fails where nothing listens": async (prober) => {
    const port = await deadPort();
    for (const check of [HTTP, TCP])
      assert.match(failureOf(await probe(prober, port, check)).reason, /refused/);
  },

  "fails in time when no answer comes": async (prober) => {
    await withTcp(ignore, async (port) => {
      const result = await failureWithin(prober, port, HTTP, 100);
      assert.match(result.reason, /100 ms/);
      assert.ok(result.latencyMs >= 95, `a time-out of 100 ms after ${String(result.latencyMs)} ms`);
    });
  },

  "fails in time when no connection comes about": async (prober) => {
    const deaf = await listenDeaf();
    try {
      for (const check of [HTTP, TCP]) {
        assert.match((await failureWithin(prober, deaf.port, check, 100)).reason, /100 ms/);
      }
    } finally {
      await deaf.close();
    }
  },

  "fails in time when the head comes in drops": async (prober) => {
    await withTcp(
      (socket) => {
        const timer = setInterval(() => socket.write("X"), 10);
        socket.write("HTTP/1.1 200 OK\r\nX: ");
        socket.once("close", () => {
          clearInterval(timer);
        });
      },
      async (port) => {
        await failureWithin(prober, port, HTTP, 100);
      },
    );
  },

  "fails on an answer that is not HTTP": async (prober) => {
    await withTcp(
      (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"),
      async (port) => {
        failureOf(await probe(prober, port, HTTP));
      },
    );
  },

  "fails on a connection that is closed without an answer": async (prober) => {
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
};
