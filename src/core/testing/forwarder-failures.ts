import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { answer, assertFailed, GET, POST, type ForwarderCase } from "./forwarder-stage.js";

/** What the `Forwarder` port says of failures, of what may be tried again and of clients that go. */
export const failureCases: Readonly<Record<string, ForwarderCase>> = {
  "tells a failure to connect, after which the same request goes to another endpoint whole": {
    first: "dead",
    run: async ({ send, client, received, outcomes, wait }) => {
      send(POST);
      await wait(() => client.text.endsWith("ok"), "the answer of the second endpoint");
      assert.match(received[0]?.text ?? "", /\r\n\r\nabc$/);
      await wait(() => outcomes.length === 2, "two outcomes");
      assertFailed(outcomes[0], "connect", true);
    },
  },

  "gives a request up whose answer does not come in time": {
    behave: () => undefined,
    responseTimeoutMs: 50,
    run: async ({ send, client, received, outcomes, wait }) => {
      send(POST);
      await wait(() => outcomes.length === 1, "the outcome");
      assertFailed(outcomes[0], "timeout", false);
      await wait(() => received.every(({ closed }) => closed), "the end of the connection");
      await wait(() => client.text.startsWith("HTTP/1.1 502"), "the front's own answer");
    },
  },

  "calls a broken connection retryable for a GET only": {
    behave: ({ socket }) => socket.destroy(),
    run: async ({ send, outcomes, wait }) => {
      send(GET);
      await wait(() => outcomes.length === 1, "the outcome");
      assertFailed(outcomes[0], "reset", true);
      send(POST);
      await wait(() => outcomes.length === 2, "the outcome");
      assertFailed(outcomes[1], "reset", false);
      send("POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 0\r\n\r\n");
      await wait(() => outcomes.length === 3, "the outcome");
      assertFailed(outcomes[2], "reset", false);
    },
  },

  "refuses an answer with two framings": {
    behave: answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    run: async ({ send, client, outcomes, wait }) => {
      send(POST);
      await wait(() => outcomes.length === 1, "the outcome");
      assertFailed(outcomes[0], "bad-response", false);
      await wait(() => client.text.startsWith("HTTP/1.1 502"), "the front's own answer");
    },
  },

  "cuts the client off when the answer is cut short": {
    behave: ({ socket }) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    run: async ({ send, client, outcomes, wait }) => {
      send(GET);
      await wait(() => client.closed, "the end of the client's connection");
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: false }]);
    },
  },

  "lets go of the endpoint when the client goes before the answer": {
    behave: () => undefined,
    run: async ({ send, client, received, outcomes, wait }) => {
      send(GET);
      await wait(() => received.length === 1, "the request");
      client.socket.resetAndDestroy();
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "client-gone" }]);
      await wait(() => received.every(({ closed }) => closed), "the end of the connection");
    },
  },

  "lets go of the endpoint when the client goes amid a download": {
    behave: ({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nabc");
    },
    run: async ({ send, client, received, outcomes, wait }) => {
      send(GET);
      await wait(() => client.text.endsWith("abc"), "the beginning of the answer");
      client.socket.resetAndDestroy();
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: false }]);
      await wait(() => received.every(({ closed }) => closed), "the end of the connection");
    },
  },

  "lets go of the endpoint when the client goes amid an upload": {
    behave: () => undefined,
    run: async ({ send, client, received, outcomes, wait }) => {
      send("POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 9\r\n\r\nabc");
      await wait(() => received[0]?.text.endsWith("abc") === true, "the beginning of the body");
      client.socket.resetAndDestroy();
      await wait(() => received.every(({ closed }) => closed), "the end of the connection");
      assert.deepEqual(outcomes, [{ kind: "client-gone" }]);
    },
  },

  "calls a broken connection retryable for no request with a body": {
    behave: ({ socket }) => socket.destroy(),
    run: async ({ send, outcomes, wait }) => {
      send("PUT /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\nabc");
      await wait(() => outcomes.length === 1, "the outcome");
      assertFailed(outcomes[0], "reset", false);
      send("GET /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
      await wait(() => outcomes.length === 2, "the outcome");
      assertFailed(outcomes[1], "reset", false);
    },
  },

  "gives a connection up that does not come about in time, and the request goes elsewhere whole": {
    first: "deaf",
    connectTimeoutMs: 500,
    run: async ({ send, client, received, outcomes, wait }) => {
      send(POST);
      await wait(() => client.text.endsWith("ok"), "the answer of the second endpoint");
      assert.match(received[0]?.text ?? "", /\r\n\r\nabc$/);
      await wait(() => outcomes.length === 2, "two outcomes");
      assertFailed(outcomes[0], "connect", true);
    },
  },

  "counts the time of an answer from the end of the request": {
    responseTimeoutMs: 1_000,
    run: async ({ send, client, received, outcomes, wait }) => {
      send("POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\na");
      await wait(() => received[0]?.text.endsWith("a") === true, "the beginning of the body");
      await delay(1_200);
      send("bc");
      await wait(() => client.text.endsWith("ok"), "the answer");
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: true }]);
    },
  },

  "counts the time of an answer to its head": {
    responseTimeoutMs: 1_000,
    behave: ({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
      setTimeout(() => socket.write("cd"), 1_200);
    },
    run: async ({ send, client, outcomes, wait }) => {
      send(GET);
      await wait(() => client.text.endsWith("abcd"), "the whole answer");
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: true }]);
    },
  },
};
