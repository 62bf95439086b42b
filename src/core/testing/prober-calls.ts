import assert from "node:assert/strict";
import { createServer } from "node:http";
import { isDinpError } from "../model/errors.js";
import type { ProbeTarget } from "../ports/prober.js";
import { eventually } from "./conformance.js";
import { Connections, withHttp, withServer, withTcp } from "./local-servers.js";
import { HTTP, probe, TCP, type ProberCases } from "./prober-harness.js";

/** What the `Prober` port says of the call itself: latency, connections, aborts, misuse. */
export const callCases: ProberCases = {
  "tells how long the answer took": async (prober) => {
    let heldMs = 0;
    await withHttp(
      (_, response) => {
        const from = performance.now();
        setTimeout(() => {
          heldMs = performance.now() - from;
          response.end("ok");
        }, 60);
      },
      async (port) => {
        const from = performance.now();
        const result = await probe(prober, port, HTTP);
        const tookMs = performance.now() - from;
        assert.equal(result.outcome, "success");
        // Whole milliseconds may be rounded either way.
        assert.ok(result.latencyMs >= heldMs - 1, `${String(result.latencyMs)} < ${String(heldMs)} ms`);
        assert.ok(result.latencyMs <= tookMs + 1, `${String(result.latencyMs)} > ${String(tookMs)} ms`);
      },
    );
  },

  "uses a fresh connection for each probe and leaves none": async (prober) => {
    const connections = new Connections();
    const server = createServer((_, response) => response.end("ok"));
    server.on("connection", connections.accept);
    await withServer(server, async (port) => {
      const results = await Promise.all(Array.from({ length: 16 }, () => probe(prober, port, HTTP)));
      assert.deepEqual(new Set(results.map(({ outcome }) => outcome)), new Set(["success"]));
      await connections.untilNone(port);
      assert.equal(connections.opened, 16);
    });
  },

  "leaves no connection after a time-out": async (prober) => {
    const connections = new Connections();
    await withTcp(connections.accept, async (port) => {
      await probe(prober, port, HTTP, 50);
      await connections.untilNone(port);
    });
  },

  "rejects with DINP_ABORTED, without a connection, when the signal has aborted": async (prober) => {
    let opened = 0;
    await withHttp(
      (_, response) => {
        opened += 1;
        response.end();
      },
      async (port) => {
        for (const check of [HTTP, TCP]) {
          const target: ProbeTarget = { host: "127.0.0.1", port, check };
          const call = prober.probe(target, { timeoutMs: 5_000, signal: AbortSignal.abort() });
          await assert.rejects(call, (error) => isDinpError(error, "DINP_ABORTED"));
        }
        // Whatever came before this one has arrived when it is answered.
        await probe(prober, port, HTTP);
        assert.equal(opened, 1);
      },
    );
  },

  "rejects with DINP_ABORTED, and lets the connection go, when the signal aborts amid a probe": async (
    prober,
  ) => {
    const connections = new Connections();
    await withTcp(connections.accept, async (port) => {
      const abort = new AbortController();
      const target: ProbeTarget = { host: "127.0.0.1", port, check: HTTP };
      const probing = prober.probe(target, { timeoutMs: 60_000, signal: abort.signal });
      const rejected = assert.rejects(probing, (error) => isDinpError(error, "DINP_ABORTED"));
      await Promise.race([eventually(() => connections.opened === 1, "the connection"), rejected]);
      abort.abort();
      await rejected;
      await connections.untilNone(port);
    });
  },

  "rejects misuse with a TypeError": async (prober) => {
    await assert.rejects(probe(prober, 1, { ...HTTP, path: "/a b" }), TypeError, "a path with a space");
    for (const timeoutMs of [0, -1, Number.NaN]) {
      await assert.rejects(
        probe(prober, 1, HTTP, timeoutMs),
        TypeError,
        `a time-out of ${String(timeoutMs)}`,
      );
    }
  },
};
