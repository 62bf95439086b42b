import { Agent, IncomingMessage } from "node:http";
import type { Stream } from "node:stream";
import {
  DinpError,
  type Endpoint,
  type Forwarder,
  type ForwardOptions,
  type ForwardOutcome,
  messageOf,
} from "@dinp/core";
import { Attempt } from "./attempt.js";
import { isReplayable } from "./message-head.js";
import type { NodeExchange } from "./node-exchange.js";
import type { HttpProxyForwarderOptions } from "./load-http-proxy-forwarder.js";

/** After one side of a WebSocket has ended, the other has this long to end too. */
const HALF_CLOSED_MS = 5_000;

type Driver = typeof import("http-proxy");
type Proxy = ReturnType<Driver["createProxyServer"]>;

/** Imports the driver; names the install command when there is none. */
export async function loadDriver(importDriver: () => Promise<{ default: Driver }>): Promise<Driver> {
  try {
    return (await importDriver()).default;
  } catch (error) {
    throw new DinpError(
      "DINP_DRIVER_MISSING",
      `The package http-proxy cannot be loaded: ${messageOf(error)}`,
      {
        cause: error,
        hint: "Run `npm install http-proxy@1`.",
        details: { package: "http-proxy" },
      },
    );
  }
}

/** A {@link Forwarder} whose requests `http-proxy` opens. */
export class HttpProxyForwarder implements Forwarder<NodeExchange> {
  readonly #proxy: Proxy;
  readonly #pooled: Agent;
  readonly #single: Agent;
  readonly #limits: { readonly idleTimeoutMs: number; readonly halfClosedMs: number };
  #closed = false;

  constructor(driver: Driver, options: HttpProxyForwarderOptions) {
    const maxSockets = options.connectionsPerEndpointMax ?? 1_024;
    this.#proxy = driver.createProxyServer({ selfHandleResponse: true, toProxy: true, prependPath: false });
    this.#pooled = new Agent({
      keepAlive: true,
      maxSockets,
      maxFreeSockets: options.idlePerEndpointMax ?? 64,
      timeout: options.keepAliveMs ?? 4_000,
    });
    this.#single = new Agent({ keepAlive: false, maxSockets });
    this.#limits = { idleTimeoutMs: options.idleTimeoutMs ?? 900_000, halfClosedMs: HALF_CLOSED_MS };
  }

  async forward(
    exchange: NodeExchange,
    endpoint: Endpoint,
    options: ForwardOptions,
  ): Promise<ForwardOutcome> {
    if (this.#closed) throw new DinpError("DINP_CLOSED", "The forwarder is closed.");
    assertTarget(exchange.target);
    const agent = isReplayable(exchange) ? this.#pooled : this.#single;
    const first = await this.#attempt(exchange, endpoint, options, agent);
    if (!first.stale) return first.outcome;
    return (await this.#attempt(exchange, endpoint, options, this.#single)).outcome;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const agent of [this.#pooled, this.#single]) destroyIdle(agent);
    return Promise.resolve();
  }

  async #attempt(
    exchange: NodeExchange,
    endpoint: Endpoint,
    options: ForwardOptions,
    agent: Agent,
  ): ReturnType<() => Attempt["result"]> {
    const attempt = new Attempt(exchange, endpoint, {
      ...options,
      ...this.#limits,
      keepAlive: agent === this.#pooled,
    });
    attempt.begin((body) => {
      this.#open(exchange, endpoint, agent, body);
    });
    return attempt.result;
  }

  #open({ request, response }: NodeExchange, { host, port }: Endpoint, agent: Agent, buffer: Stream): void {
    // A stand-in for the request: http-proxy reads the method from it, and writes to its fields and listeners.
    const standIn = new IncomingMessage(request.socket);
    standIn.method = request.method ?? "GET";
    standIn.url = "/";
    const target = { protocol: "http:", host, port };
    withoutDeprecations(() => {
      this.#proxy.web(standIn, response, { target, agent, buffer }, () => undefined);
    });
  }
}

/** http-proxy calls functions that newer Nodes warn about; who runs a router cannot do anything about it. */
function withoutDeprecations(run: () => void): void {
  const before = process.noDeprecation;
  process.noDeprecation = true;
  try {
    run();
  } finally {
    process.noDeprecation = before ?? false;
  }
}

function destroyIdle(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}

function assertTarget(target: string): void {
  if (target !== "*" && !/^\/[^\0-\x20\x7f]*$/.test(target)) {
    throw new TypeError(`The request target ${JSON.stringify(target.slice(0, 80))} is not in origin form.`);
  }
}
