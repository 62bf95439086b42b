import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "../model/records.js";
import type { ForwardOptions, ForwardOutcome } from "../ports/forwarder.js";
import { eventually, type SuiteOptions } from "./conformance.js";
import { listenDeaf, type DeafListener } from "./deaf-listener.js";
import { deadPort, listen } from "./local-servers.js";

/** What a front does with the requests that come to it. */
export interface ForwardPlan {
  /** Asked in this order, each with the same exchange, while the outcome is a retryable failure. */
  readonly endpoints: readonly Endpoint[];
  readonly options: ForwardOptions;
}

/** A forwarder behind a listening side of its kind, on 127.0.0.1. */
export interface ForwarderUnderTest {
  readonly port: number;
  /** Closes the forwarder, twice, and the listening side. Called once. */
  readonly dispose: () => Promise<void>;
}

export interface ForwarderSuiteOptions extends SuiteOptions {
  /**
   * Listens, forwards each request as `plan` says, and tells every outcome. Where the last one is a failure it answers
   * 502 itself.
   */
  readonly create: (
    plan: ForwardPlan,
    onOutcome: (outcome: ForwardOutcome) => void,
  ) => Promise<ForwarderUnderTest>;
}

/** One connection, as the side that observes it sees it. */
export interface Received {
  readonly socket: Socket;
  text: string;
  closed: boolean;
}

export type Behave = (received: Received) => void;

export interface ForwarderCase {
  /** What the endpoint does at each piece that comes. Default: answers `ok` to whole requests. */
  readonly behave?: Behave;
  /** Put an endpoint before the real one: where nobody listens, or where nobody accepts. */
  readonly first?: "dead" | "deaf";
  readonly connectTimeoutMs?: number;
  readonly responseTimeoutMs?: number;
  readonly run: (stage: Stage) => Promise<void>;
}

export const GET = "GET /a?b HTTP/1.1\r\nHost: x.test\r\n\r\n";
export const POST = "POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\nabc";
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A client, a front and an endpoint of one case. */
export class Stage {
  readonly outcomes: ForwardOutcome[] = [];
  /** The connections that came to the endpoint. */
  readonly received: Received[] = [];
  readonly #server: Server;
  #deaf: DeafListener | null = null;
  #client: Received | null = null;
  #front: ForwarderUnderTest | null = null;
  #closing: Promise<void> | null = null;

  private constructor(behave: Behave) {
    this.#server = createServer((socket) => {
      const connection = observe(socket, () => {
        behave(connection);
      });
      this.received.push(connection);
    });
  }

  static async set(options: ForwarderSuiteOptions, each: ForwarderCase): Promise<Stage> {
    const stage = new Stage(each.behave ?? answerWhole);
    try {
      await stage.#set(options, each);
      return stage;
    } catch (error) {
      await stage.strike();
      throw error;
    }
  }

  get client(): Received {
    assert.ok(this.#client !== null);
    return this.#client;
  }

  readonly send = (bytes: string): void => {
    this.client.socket.write(bytes, "latin1");
  };

  readonly wait = eventually;

  /** Closes the forwarder and the listening side. */
  readonly close = (): Promise<void> => {
    this.#closing ??= this.#front?.dispose() ?? Promise.resolve();
    return this.#closing;
  };

  async strike(): Promise<void> {
    this.#client?.socket.destroy();
    try {
      await this.close();
    } finally {
      for (const { socket } of this.received) socket.destroy();
      await this.#deaf?.close();
      await new Promise((resolve) => this.#server.close(resolve));
    }
  }

  async #set(options: ForwarderSuiteOptions, each: ForwarderCase): Promise<void> {
    const endpoints: Endpoint[] = [
      { instanceId: "i-1", host: "127.0.0.1", port: await listen(this.#server) },
    ];
    if (each.first !== undefined) {
      if (each.first === "deaf") this.#deaf = await listenDeaf();
      endpoints.unshift({
        instanceId: "i-0",
        host: "127.0.0.1",
        port: this.#deaf?.port ?? (await deadPort()),
      });
    }
    const { connectTimeoutMs = 5_000, responseTimeoutMs = 5_000 } = each;
    const forwardOptions = { addedFields: { "X-Added": "router" }, connectTimeoutMs, responseTimeoutMs };
    this.#front = await options.create({ endpoints, options: forwardOptions }, (outcome) =>
      this.outcomes.push(outcome),
    );
    this.#client = observe(connect({ port: this.#front.port, host: "127.0.0.1" }), () => undefined);
  }
}

/** Answers every piece that comes with the same bytes. */
export function answer(bytes: string): Behave {
  return ({ socket }) => {
    socket.write(bytes, "latin1");
  };
}

export function assertFailed(outcome: ForwardOutcome | undefined, reason: string, retryable: boolean): void {
  assert.equal(outcome?.kind, "failed", JSON.stringify(outcome));
  assert.deepEqual([outcome.reason, outcome.retryable], [reason, retryable]);
  assert.notEqual(outcome.message, "", "a failure says what happened");
}

/** Answers once the request's head and what its framing promises is there. */
const answerWhole: Behave = ({ socket, text }) => {
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  const whole = /transfer-encoding/i.test(text)
    ? body.endsWith("0\r\n\r\n")
    : !/content-length: 3/i.test(text) || body === "abc";
  if (text.includes("\r\n\r\n") && whole) socket.write(OK);
};

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
