import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import type { Endpoint } from "../model/records.js";
import type { ForwardOptions, ForwardOutcome } from "../ports/forwarder.js";
import type { ConformanceCase } from "./conformance.js";

/** What a front does with the requests that come to it. */
export interface ForwardPlan {
  /** Asked in this order, each with the same exchange, while the outcome is a retryable failure. */
  readonly endpoints: readonly Endpoint[];
  readonly options: ForwardOptions;
}

/** A forwarder behind a listening side of its kind, on 127.0.0.1. */
export interface ForwarderUnderTest {
  readonly port: number;
  /** Closes the forwarder, twice, and the listening side. */
  readonly dispose: () => Promise<void>;
}

export interface ForwarderSuiteOptions {
  /**
   * Listens, forwards each request as `plan` says, and tells every outcome. Where the last one is a failure it answers
   * 502 itself.
   */
  readonly create: (
    plan: ForwardPlan,
    onOutcome: (outcome: ForwardOutcome) => void,
  ) => Promise<ForwarderUnderTest>;
}

/** One connection that came to a stand-in for an endpoint. */
interface Received {
  readonly socket: Socket;
  text: string;
  closed: boolean;
}

type Behave = (received: Received) => void;

interface Scene {
  readonly plan: ForwardPlan;
  readonly outcomes: ForwardOutcome[];
  readonly received: Received[];
  readonly client: Received;
  /** The endpoint's behaviour for this case. */
  readonly send: (bytes: string) => void;
}

interface Case {
  readonly behave?: Behave;
  /** Put an endpoint where nobody listens before the real one. */
  readonly deadFirst?: boolean;
  readonly responseTimeoutMs?: number;
  readonly run: (scene: Scene) => Promise<void>;
}

const GET = "GET /a?b HTTP/1.1\r\nHost: x.test\r\n\r\n";
const POST = "POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\nabc";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** The contract of the `Forwarder` port for HTTP/1.1, case by case, byte by byte on both sides. */
export function forwarderSuite(options: ForwarderSuiteOptions): readonly ConformanceCase[] {
  return Object.entries(cases).map(([name, each]) => ({ name, run: () => play(options, each) }));
}

const cases: Readonly<Record<string, Case>> = {
  "sends method, target, fields and body as they came": {
    run: async ({ send, client, received, outcomes }) => {
      send(
        "PATCH //a/../b?c=%2F HTTP/1.1\r\nHost: x.test\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\n\r\nabc",
      );
      await waitFor(() => client.text.endsWith("ok"), "the answer");
      const text = received[0]?.text ?? "";
      assert.match(text, /^PATCH \/\/a\/\.\.\/b\?c=%2F HTTP\/1\.1\r\n/);
      assert.match(text, /\r\nHost: x\.test\r\n/i);
      assert.match(text, /X-A: 1(\r\nX-A: |, ?)2\r\n/i);
      assert.match(text, /\r\nContent-Length: 3\r\n[^]*\r\n\r\nabc$/i);
      await waitFor(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: true }]);
    },
  },

  "adds the router's fields in place of the client's": {
    run: async ({ send, client, received }) => {
      send("GET / HTTP/1.1\r\nHost: x.test\r\nConnection: x-added\r\nX-ADDED: mine\r\n\r\n");
      await waitFor(() => client.text.endsWith("ok"), "the answer");
      assert.match(received[0]?.text ?? "", /\r\nX-Added: router\r\n/i);
      assert.doesNotMatch(received[0]?.text ?? "", /mine/);
    },
  },

  "removes hop-by-hop fields both ways": {
    behave: answer(
      "HTTP/1.1 200 OK\r\nConnection: X-Theirs\r\nX-Theirs: 1\r\nProxy-Authenticate: x\r\nContent-Length: 2\r\n\r\nok",
    ),
    run: async ({ send, client, received }) => {
      const fields =
        "Connection: X-Ours\r\nX-Ours: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\n";
      send(`GET / HTTP/1.1\r\nHost: x.test\r\n${fields}\r\n`);
      await waitFor(() => client.text.endsWith("ok"), "the answer");
      assert.doesNotMatch(received[0]?.text ?? "", /^(x-ours|te|proxy-authorization|keep-alive):/im);
      assert.doesNotMatch(client.text, /^(x-theirs|proxy-authenticate):/im);
    },
  },

  ...Object.fromEntries(
    ["GET", "POST", "DELETE", "OPTIONS"].map((method): [string, Case] => [
      `frames the chunked body of ${method}`,
      {
        run: async ({ send, client, received }) => {
          send(
            `${method} / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
          );
          await waitFor(() => client.text.endsWith("ok"), "the answer");
          const text = received[0]?.text ?? "";
          assert.match(text, /\r\nTransfer-Encoding: chunked\r\n/i);
          assert.doesNotMatch(text, /content-length/i);
          assert.match(text, /\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
        },
      },
    ]),
  ),

  "tells a failure to connect, after which the same request goes to another endpoint whole": {
    deadFirst: true,
    run: async ({ send, client, received, outcomes }) => {
      send(POST);
      await waitFor(() => client.text.endsWith("ok"), "the answer of the second endpoint");
      assert.match(received[0]?.text ?? "", /\r\n\r\nabc$/);
      await waitFor(() => outcomes.length === 2, "two outcomes");
      assertFailed(outcomes[0], "connect", true);
    },
  },

  "gives a request up whose answer does not come in time": {
    behave: () => undefined,
    responseTimeoutMs: 50,
    run: async ({ send, client, received, outcomes }) => {
      send(POST);
      await waitFor(() => outcomes.length === 1, "the outcome");
      assertFailed(outcomes[0], "timeout", false);
      await waitFor(() => received.every(({ closed }) => closed), "the end of the connection");
      await waitFor(() => client.text.startsWith("HTTP/1.1 502"), "the front's own answer");
    },
  },

  "calls a broken connection retryable for a GET only": {
    behave: ({ socket }) => socket.destroy(),
    run: async ({ send, outcomes }) => {
      send(GET);
      await waitFor(() => outcomes.length === 1, "the outcome");
      assertFailed(outcomes[0], "reset", true);
      send(POST);
      await waitFor(() => outcomes.length === 2, "the outcome");
      assertFailed(outcomes[1], "reset", false);
    },
  },

  "refuses an answer with two framings": {
    behave: answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    run: async ({ send, client, outcomes }) => {
      send(POST);
      await waitFor(() => outcomes.length === 1, "the outcome");
      assertFailed(outcomes[0], "bad-response", false);
      await waitFor(() => client.text.startsWith("HTTP/1.1 502"), "the front's own answer");
    },
  },

  "cuts the client off when the answer is cut short": {
    behave: ({ socket }) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    run: async ({ send, client, outcomes }) => {
      send(GET);
      await waitFor(() => client.closed, "the end of the client's connection");
      await waitFor(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: false }]);
    },
  },

  "passes the head on before there is a body": {
    behave: ({ socket }) => socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
    run: async ({ send, client, received }) => {
      send(GET);
      await waitFor(() => /text\/event-stream[^]*\r\n\r\n$/.test(client.text), "the head");
      received[0]?.socket.write("data: 1\n\n");
      await waitFor(() => client.text.includes("data: 1\n\n"), "the event");
    },
  },

  "lets go of the endpoint when the client goes before the answer": {
    behave: () => undefined,
    run: async ({ send, client, received, outcomes }) => {
      send(GET);
      await waitFor(() => received.length === 1, "the request");
      client.socket.resetAndDestroy();
      await waitFor(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "client-gone" }]);
      await waitFor(() => received.every(({ closed }) => closed), "the end of the connection");
    },
  },

  "lets go of the endpoint when the client goes amid a download": {
    behave: ({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nabc");
    },
    run: async ({ send, client, received, outcomes }) => {
      send(GET);
      await waitFor(() => client.text.endsWith("abc"), "the beginning of the answer");
      client.socket.resetAndDestroy();
      await waitFor(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: false }]);
      await waitFor(() => received.every(({ closed }) => closed), "the end of the connection");
    },
  },

  "lets go of the endpoint when the client goes amid an upload": {
    behave: () => undefined,
    run: async ({ send, client, received, outcomes }) => {
      send("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 9\r\n\r\nabc");
      await waitFor(() => received[0]?.text.endsWith("abc") === true, "the beginning of the body");
      client.socket.resetAndDestroy();
      await waitFor(() => received.every(({ closed }) => closed), "the end of the connection");
      assert.deepEqual(outcomes, [{ kind: "client-gone" }]);
    },
  },

  "asks again, unnoticed, when a kept connection was closed at reuse": {
    behave: (received) => {
      if (received.text.split("\r\n\r\n").length > 2) received.socket.resetAndDestroy();
      else received.socket.write(OK);
    },
    run: async ({ send, client, outcomes }) => {
      for (let i = 1; i <= 4; i += 1) {
        send(GET);
        await waitFor(() => outcomes.length === i, "an outcome");
      }
      assert.ok(
        outcomes.every(({ kind }) => kind === "answered"),
        JSON.stringify(outcomes),
      );
      await waitFor(() => client.text.split("\r\n\r\nok").length === 5, "four answers");
    },
  },

  "makes a tunnel of an accepted WebSocket and ends both sides together": {
    behave: ({ socket, text }) => {
      if (text.endsWith("\r\n\r\n")) {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      } else {
        socket.write(`echo ${text.slice(-4)}`);
      }
    },
    run: async ({ send, client, received, outcomes }) => {
      send("GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      await waitFor(() => /^HTTP\/1\.1 101 [^]*\r\n\r\n$/.test(client.text), "the switch");
      client.socket.write("ping");
      await waitFor(() => client.text.endsWith("echo ping"), "the echo");
      assert.deepEqual(outcomes, []);
      client.socket.end();
      await waitFor(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 101, complete: true }]);
      await waitFor(() => received.every(({ closed }) => closed), "the end of the connection");
    },
  },
};

function answer(bytes: string): Behave {
  return ({ socket }) => {
    socket.write(bytes, "latin1");
  };
}

/** Answers once the request's head and what its framing promises is there. */
const answerWhole: Behave = ({ socket, text }) => {
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  const whole = /transfer-encoding/i.test(text)
    ? body.endsWith("0\r\n\r\n")
    : !/content-length: 3/i.test(text) || body === "abc";
  if (text.includes("\r\n\r\n") && whole) socket.write(OK);
};

async function play(options: ForwarderSuiteOptions, each: Case): Promise<void> {
  const received: Received[] = [];
  const server = createServer((socket) => {
    const connection = observe(socket, () => {
      (each.behave ?? answerWhole)(connection);
    });
    received.push(connection);
  });
  const port = await listen(server);
  const endpoints: Endpoint[] = [{ instanceId: "i-1", host: "127.0.0.1", port }];
  if (each.deadFirst === true)
    endpoints.unshift({ instanceId: "i-0", host: "127.0.0.1", port: await deadPort() });
  const plan: ForwardPlan = {
    endpoints,
    options: {
      addedFields: { "X-Added": "router" },
      connectTimeoutMs: 2_000,
      responseTimeoutMs: each.responseTimeoutMs ?? 5_000,
    },
  };
  const outcomes: ForwardOutcome[] = [];
  const front = await options.create(plan, (outcome) => outcomes.push(outcome));
  const client = observe(connect({ port: front.port, host: "127.0.0.1" }), () => undefined);
  try {
    const send = (bytes: string): void => {
      client.socket.write(bytes, "latin1");
    };
    await each.run({ plan, outcomes, received, client, send });
  } finally {
    client.socket.destroy();
    await front.dispose();
    for (const { socket } of received) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

function observe(socket: Socket, onData: () => void): Received {
  const connection: Received = { socket, text: "", closed: false };
  socket.on("error", () => undefined);
  socket.on("close", () => {
    connection.closed = true;
  });
  socket.on("data", (chunk) => {
    connection.text += chunk.toString("latin1");
    onData();
  });
  return connection;
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return address.port;
}

async function deadPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function assertFailed(outcome: ForwardOutcome | undefined, reason: string, retryable: boolean): void {
  assert.equal(outcome?.kind, "failed", JSON.stringify(outcome));
  assert.deepEqual([outcome.reason, outcome.retryable], [reason, retryable]);
  assert.notEqual(outcome.message, "", "a failure says what happened");
}

async function waitFor(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > end) assert.fail(`${what} did not come within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
