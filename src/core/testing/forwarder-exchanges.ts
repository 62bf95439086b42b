import assert from "node:assert/strict";
import { answer, GET, OK, type ForwarderCase } from "./forwarder-stage.js";

/** What the `Forwarder` port says of requests and answers that get through. */
export const exchangeCases: Readonly<Record<string, ForwarderCase>> = {
  "sends method, target, fields and body as they came": {
    run: async ({ send, client, received, outcomes, wait }) => {
      send(
        "PATCH //a/../b?c=%2F HTTP/1.1\r\nHost: x.test\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\n\r\nabc",
      );
      await wait(() => client.text.endsWith("ok"), "the answer");
      const text = received[0]?.text ?? "";
      assert.match(text, /^PATCH \/\/a\/\.\.\/b\?c=%2F HTTP\/1\.1\r\n/);
      assert.match(text, /\r\nHost: x\.test\r\n/i);
      assert.match(text, /X-A: 1(\r\nX-A: |, ?)2\r\n/i);
      assert.match(text, /\r\nContent-Length: 3\r\n[^]*\r\n\r\nabc$/i);
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: true }]);
    },
  },

  "adds the router's fields in place of the client's": {
    run: async ({ send, client, received, wait }) => {
      send("GET / HTTP/1.1\r\nHost: x.test\r\nConnection: x-added\r\nX-ADDED: mine\r\n\r\n");
      await wait(() => client.text.endsWith("ok"), "the answer");
      assert.match(received[0]?.text ?? "", /\r\nX-Added: router\r\n/i);
      assert.doesNotMatch(received[0]?.text ?? "", /mine/);
    },
  },

  "removes hop-by-hop fields both ways": {
    behave: answer(
      "HTTP/1.1 200 OK\r\nConnection: X-Theirs\r\nX-Theirs: 1\r\nProxy-Authenticate: x\r\nContent-Length: 2\r\n\r\nok",
    ),
    run: async ({ send, client, received, wait }) => {
      const fields =
        "Connection: X-Ours\r\nX-Ours: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\n";
      send(`GET / HTTP/1.1\r\nHost: x.test\r\n${fields}\r\n`);
      await wait(() => client.text.endsWith("ok"), "the answer");
      assert.doesNotMatch(received[0]?.text ?? "", /^(x-ours|te|proxy-authorization|keep-alive):/im);
      assert.doesNotMatch(client.text, /^(x-theirs|proxy-authenticate):/im);
    },
  },

  ...Object.fromEntries(
    ["GET", "POST", "DELETE", "OPTIONS"].map((method): [string, ForwarderCase] => [
      `frames the chunked body of ${method}`,
      {
        run: async ({ send, client, received, wait }) => {
          send(
            `${method} / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
          );
          await wait(() => client.text.endsWith("ok"), "the answer");
          const text = received[0]?.text ?? "";
          assert.match(text, /\r\nTransfer-Encoding: chunked\r\n/i);
          assert.doesNotMatch(text, /content-length/i);
          assert.match(text, /\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
        },
      },
    ]),
  ),

  "passes the head on before there is a body": {
    behave: ({ socket }) => socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
    run: async ({ send, client, received, wait }) => {
      send(GET);
      await wait(() => /text\/event-stream[^]*\r\n\r\n$/.test(client.text), "the head");
      received[0]?.socket.write("data: 1\n\n");
      await wait(() => client.text.includes("data: 1\n\n"), "the event");
    },
  },

  "asks again, unnoticed, when a kept connection was closed at reuse": {
    behave: (received) => {
      if (received.text.split("\r\n\r\n").length > 2) received.socket.resetAndDestroy();
      else received.socket.write(OK);
    },
    run: async ({ send, client, outcomes, wait }) => {
      for (let i = 1; i <= 4; i += 1) {
        send(GET);
        await wait(() => outcomes.length === i, "an outcome");
      }
      assert.ok(
        outcomes.every(({ kind }) => kind === "answered"),
        JSON.stringify(outcomes),
      );
      await wait(() => client.text.split("\r\n\r\nok").length === 5, "four answers");
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
    run: async ({ send, client, received, outcomes, wait }) => {
      send("GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      await wait(() => /^HTTP\/1\.1 101 [^]*\r\n\r\n$/.test(client.text), "the switch");
      client.socket.write("ping");
      await wait(() => client.text.endsWith("echo ping"), "the echo");
      assert.deepEqual(outcomes, []);
      client.socket.end();
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 101, complete: true }]);
      await wait(() => received.every(({ closed }) => closed), "the end of the connection");
    },
  },

  "passes an answer without a body on as one": {
    behave: ({ socket, text }) => {
      const [line = ""] = text.split("\r\n\r\n").slice(-2);
      socket.write(line.startsWith("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" : OK);
    },
    run: async ({ send, client, outcomes, wait }) => {
      send("HEAD /a HTTP/1.1\r\nHost: x.test\r\n\r\n");
      await wait(() => /Content-Length: 5\r\n[^]*\r\n\r\n$/i.test(client.text), "the head");
      await wait(() => outcomes.length === 1, "the outcome");
      assert.deepEqual(outcomes, [{ kind: "answered", status: 200, complete: true }]);
      send(GET);
      await wait(() => client.text.endsWith("\r\n\r\nok"), "the next answer");
    },
  },

  "ends idle connections when it is closed": {
    run: async ({ send, outcomes, received, close, wait }) => {
      send(GET);
      await wait(() => outcomes.length === 1, "the outcome");
      await close();
      await wait(() => received.every(({ closed }) => closed), "the end of the connection");
    },
  },
};
