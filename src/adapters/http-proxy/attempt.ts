import { ClientRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type Duplex, Stream } from "node:stream";
import { type Endpoint, type ForwardOptions, type ForwardOutcome, messageOf } from "@dinp/core";
import { responseFields } from "./fields.js";
import {
  type Body,
  bodyOf,
  hasContent,
  isReplayable,
  reasonOf,
  setFields,
  switchingHead,
  withoutLength,
  writeRequestHead,
} from "./message-head.js";
import type { NodeExchange } from "./node-exchange.js";
import { tunnel } from "./tunnel.js";
import { Watchdog } from "./watchdog.js";

/** How one try on one connection ended. */
export interface AttemptEnd {
  readonly outcome: ForwardOutcome;
  /** True when a connection from the pool turned out to be closed already: a fresh one may do better. */
  readonly stale: boolean;
}

export interface AttemptOptions extends ForwardOptions {
  /** True when the connection may serve further requests. */
  readonly keepAlive: boolean;
  readonly idleTimeoutMs: number;
  readonly halfClosedMs: number;
}

/** Interim answers (1xx) that an endpoint may send before its answer. */
const INTERIM_MAX = 32;

/**
 * One try to send an exchange's request on one connection and its answer back. Nothing is read from the request's body
 * before the connection stands, so a failure to connect leaves the request whole.
 */
export class Attempt {
  readonly #exchange: NodeExchange;
  readonly #endpoint: Endpoint;
  readonly #options: AttemptOptions;
  readonly #body: Body;
  readonly #watchdog = new Watchdog();
  readonly #end: (end: AttemptEnd) => void;
  readonly result: Promise<AttemptEnd>;
  #upstream: ClientRequest | null = null;
  #answer: IncomingMessage | null = null;
  #connected = false;
  #bodyBegun = false;
  #ended = false;
  #tunnelled = false;
  #interim = 0;
  #readBefore = 0;

  constructor(exchange: NodeExchange, endpoint: Endpoint, options: AttemptOptions) {
    this.#exchange = exchange;
    this.#endpoint = endpoint;
    this.#options = options;
    this.#body = bodyOf(exchange.request);
    let end: (end: AttemptEnd) => void = () => undefined;
    this.result = new Promise((resolve) => {
      end = resolve;
    });
    this.#end = end;
  }

  /** Begins. `open` starts the request that the given stream is piped into. Throws only what `open` throws. */
  begin(open: (body: Stream) => void): void {
    const { request, response } = this.#exchange;
    if (response.closed || response.destroyed || request.socket.destroyed) {
      this.#finish({ kind: "client-gone" });
      return;
    }
    response.on("close", this.#onClientClosed);
    try {
      open(
        new HeldBody((upstream) => {
          this.#take(upstream);
        }),
      );
    } catch (error) {
      this.#upstream?.destroy();
      this.#finish({ kind: "client-gone" });
      throw error;
    }
  }

  #take(upstream: ClientRequest): void {
    this.#upstream = upstream;
    upstream.on("error", this.#onError);
    upstream.once("close", this.#onUpstreamClosed);
    upstream.once("socket", this.#onSocket);
    upstream.once("finish", this.#onSent);
    upstream.on("drain", this.#onDrain);
    upstream.on("information", this.#onInterim);
    upstream.once("response", this.#onResponse);
    upstream.once("upgrade", this.#onUpgrade);
    upstream.path = this.#exchange.target;
    const { addedFields, keepAlive } = this.#options;
    writeRequestHead(upstream, this.#exchange, { body: this.#body, addedFields, keepAlive });
    this.#watchdog.arm(this.#options.connectTimeoutMs, () => {
      const inTime = `within ${String(this.#options.connectTimeoutMs)} ms`;
      if (upstream.socket === null) this.#fail("timeout", `no connection was free ${inTime}`, true);
      else this.#fail("connect", `no connection ${inTime}`, true);
    });
  }

  readonly #onSocket = (socket: Socket): void => {
    this.#readBefore = socket.bytesRead;
    if (socket.connecting) socket.once("connect", this.#onConnected);
    else this.#onConnected();
  };

  readonly #onConnected = (): void => {
    if (this.#ended) return;
    this.#connected = true;
    this.#watchdog.stop();
    if (this.#upstream !== null) this.#sendBody(this.#upstream);
  };

  #sendBody(upstream: ClientRequest): void {
    if (!hasContent(this.#body)) {
      upstream.end();
      return;
    }
    const { request, response } = this.#exchange;
    this.#bodyBegun = true;
    if (request.headers.expect !== undefined && request.httpVersion === "1.1") response.writeContinue();
    request.on("data", this.#onBodyData);
    request.once("end", this.#onBodyEnd);
  }

  readonly #onBodyData = (chunk: Uint8Array): void => {
    if (this.#upstream === null || this.#upstream.write(chunk)) return;
    this.#exchange.request.pause();
    if (this.#answer !== null) return;
    const ms = this.#options.responseTimeoutMs;
    this.#watchdog.arm(ms, () => {
      this.#fail("timeout", `it took nothing of the request body for ${String(ms)} ms`, false);
    });
  };

  readonly #onDrain = (): void => {
    if (this.#ended) return;
    if (this.#answer === null) this.#watchdog.stop();
    this.#exchange.request.resume();
  };

  readonly #onBodyEnd = (): void => {
    this.#upstream?.end();
  };

  readonly #onSent = (): void => {
    if (this.#ended || this.#answer !== null) return;
    const ms = this.#options.responseTimeoutMs;
    this.#watchdog.arm(ms, () => {
      this.#fail("timeout", `no answer within ${String(ms)} ms`, false);
    });
  };

  readonly #onInterim = (info: { statusCode: number; headers: NodeJS.Dict<string | string[]> }): void => {
    this.#interim += 1;
    if (this.#interim > INTERIM_MAX) {
      this.#fail("bad-response", `more than ${String(INTERIM_MAX)} interim answers`, this.#mayRepeat());
      return;
    }
    const { request, response, upgrade } = this.#exchange;
    const link = info.headers["link"];
    if (info.statusCode !== 103 || link === undefined || request.httpVersion !== "1.1" || upgrade !== null)
      return;
    try {
      response.writeEarlyHints({ link });
    } catch {
      // A hint that is not well-formed is left out.
    }
  };

  readonly #onResponse = (answer: IncomingMessage): void => {
    if (this.#ended) {
      answer.destroy();
      return;
    }
    const { response } = this.#exchange;
    const own = new Set(response.getHeaderNames());
    try {
      setFields(response, responseFields(withoutLength(answer), own));
      response.writeHead(answer.statusCode ?? 0, reasonOf(answer));
    } catch (error) {
      for (const name of response.getHeaderNames()) if (!own.has(name)) response.removeHeader(name);
      this.#fail("bad-response", `its answer cannot be passed on: ${messageOf(error)}`, this.#mayRepeat());
      return;
    }
    this.#answer = answer;
    this.#watchdog.arm(this.#options.idleTimeoutMs, this.#breakOff);
    this.#passAnswer(answer);
  };

  #passAnswer(answer: IncomingMessage): void {
    const { response } = this.#exchange;
    let begun = false;
    answer.on("data", (chunk: Uint8Array) => {
      begun = true;
      this.#watchdog.feed();
      if (!response.write(chunk)) answer.pause();
    });
    response.on("drain", () => {
      this.#watchdog.feed();
      answer.resume();
    });
    answer.once("end", () => {
      begun = true;
      if (answer.complete) response.end();
      else this.#breakOff();
    });
    answer.on("error", this.#breakOff);
    answer.once("close", () => {
      if (!answer.complete) this.#breakOff();
    });
    // A head without a body yet (an event stream) must not wait for one; a head with a body goes out in one piece.
    setImmediate(() => {
      if (!begun && !this.#ended) response.flushHeaders();
    });
  }

  readonly #onUpgrade = (answer: IncomingMessage, socket: Duplex, head: Uint8Array): void => {
    const { upgrade, response } = this.#exchange;
    const protocol = answer.headers.upgrade?.toLowerCase();
    if (this.#ended || upgrade === null || protocol !== "websocket" || answer.statusCode !== 101) {
      socket.destroy();
      this.#fail("bad-response", "it switched to a protocol that was not asked for", this.#mayRepeat());
      return;
    }
    this.#answer = answer;
    this.#tunnelled = true;
    this.#watchdog.stop();
    const own = response.getHeaders();
    const clientSocket = response.socket;
    if (clientSocket !== null) response.detachSocket(clientSocket);
    const fields = responseFields(answer.rawHeaders, new Set(Object.keys(own)));
    upgrade.socket.write(switchingHead(fields, own), "latin1");
    void this.#runTunnel({ stream: upgrade.socket, head: upgrade.head }, { stream: socket, head });
  };

  async #runTunnel(
    client: Parameters<typeof tunnel>[0],
    endpoint: Parameters<typeof tunnel>[1],
  ): Promise<void> {
    const complete = await tunnel(client, endpoint, this.#options);
    this.#finish({ kind: "answered", status: 101, complete });
  }

  readonly #onError = (error: Error): void => {
    if (this.#ended || this.#tunnelled) return;
    if (this.#answer !== null) {
      this.#breakOff();
      return;
    }
    if (!this.#connected) {
      this.#fail("connect", messageOf(error), true);
    } else if ("code" in error && typeof error.code === "string" && error.code.startsWith("HPE_")) {
      this.#fail("bad-response", `its answer is not well-formed: ${messageOf(error)}`, this.#mayRepeat());
    } else {
      this.#fail("reset", messageOf(error), this.#mayRepeat());
    }
  };

  readonly #onUpstreamClosed = (): void => {
    if (this.#ended || this.#tunnelled) return;
    if (this.#answer === null) this.#fail("reset", "it closed the connection", this.#mayRepeat());
    else if (!this.#answer.complete) this.#breakOff();
  };

  /** The client's side has closed: after a whole answer, or because the client went away. */
  readonly #onClientClosed = (): void => {
    if (this.#tunnelled) return;
    const status = this.#answer?.statusCode;
    const complete = this.#answer?.complete === true && this.#exchange.response.writableFinished;
    if (!complete || this.#upstream?.writableFinished !== true) this.#upstream?.destroy();
    this.#finish(status === undefined ? { kind: "client-gone" } : { kind: "answered", status, complete });
  };

  /** The head has gone out, the rest cannot follow: the client must see that the answer is cut short. */
  readonly #breakOff = (): void => {
    if (this.#ended) return;
    this.#upstream?.destroy();
    this.#exchange.response.destroy();
  };

  /** True when the request can be sent again and doing so does no harm. */
  #mayRepeat(): boolean {
    return isReplayable(this.#exchange) && !this.#bodyBegun;
  }

  #fail(reason: "connect" | "timeout" | "reset" | "bad-response", why: string, retryable: boolean): void {
    if (this.#ended) return;
    const upstream = this.#upstream;
    const read = (upstream?.socket?.bytesRead ?? 0) - this.#readBefore;
    const stale = reason === "reset" && retryable && upstream?.reusedSocket === true && read <= 0;
    upstream?.destroy();
    const where = `${this.#endpoint.host}:${String(this.#endpoint.port)}`;
    const message = `Instance ${this.#endpoint.instanceId} at ${where}: ${why}.`;
    this.#finish({ kind: "failed", reason, retryable, message }, stale);
  }

  #finish(outcome: ForwardOutcome, stale = false): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watchdog.stop();
    const { request, response } = this.#exchange;
    response.off("close", this.#onClientClosed);
    request.off("data", this.#onBodyData);
    request.off("end", this.#onBodyEnd);
    this.#end({ outcome, stale });
  }
}

/** Gives the request that http-proxy wants to pipe into to its taker, instead of piping. */
class HeldBody extends Stream {
  readonly #take: (upstream: ClientRequest) => void;

  constructor(take: (upstream: ClientRequest) => void) {
    super();
    this.#take = take;
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    if (!(destination instanceof ClientRequest))
      throw new TypeError("http-proxy opened no node:http request.");
    this.#take(destination);
    return destination;
  }
}
