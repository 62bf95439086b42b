import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { DinpError, messageOf } from "@dinp/core";
import type { PrometheusMetrics } from "@dinp/core/prometheus";
import type { HostPort } from "../config/setting.js";

/** Why something is not ready, for people; null when it is. */
export type ReadyCheck = () => string | null;

/** How slow who asks may be, in milliseconds. */
export interface ObserverBounds {
  /** For a request's head. */
  readonly headMs: number;
  /** For a whole request; and without a byte sent or taken. */
  readonly requestMs: number;
}

const defaultBounds: ObserverBounds = { headMs: 5_000, requestMs: 10_000 };
const CHECK_MS = 1_000;
const CONNECTIONS_MAX = 100;

/**
 * What a program tells of itself: `/healthz` (200 while it wants work, 503 from the moment that it ends), `/readyz` (200
 * when all its checks hold, else 503 with the reasons) and `/metrics`.
 */
export class Observer {
  readonly #metrics: PrometheusMetrics;
  readonly #bounds: ObserverBounds;
  readonly #checks = new Map<string, ReadyCheck>();
  #server: Server | null = null;
  #isEnding = false;

  constructor(metrics: PrometheusMetrics, bounds: ObserverBounds = defaultBounds) {
    this.#metrics = metrics;
    this.#bounds = bounds;
  }

  /** `/readyz` asks this, too. */
  check(name: string, check: ReadyCheck): void {
    this.#checks.set(name, check);
  }

  /** From now on `/healthz` and `/readyz` say that this program ends. */
  end(): void {
    this.#isEnding = true;
  }

  /** Listens; gives the address. `DINP_PORT_TAKEN`, `DINP_INVALID`. */
  async start({ host, port }: HostPort): Promise<HostPort> {
    const { headMs, requestMs } = this.#bounds;
    const bounds = {
      headersTimeout: headMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: CHECK_MS,
    };
    const server = createServer(bounds, (request, response) => {
      void this.#answer(request, response);
    });
    // Answers are at hand: who takes nothing of them for so long is let go.
    server.setTimeout(requestMs);
    server.maxConnections = CONNECTIONS_MAX;
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => {
        reject(listenError(error, host, port));
      });
      server.listen(port, host, resolve);
    });
    return { host, port: (server.address() as AddressInfo).port };
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").split("?", 1)[0];
    if (request.method !== "GET" && request.method !== "HEAD")
      send(response, 405, "only GET and HEAD are answered\n");
    else if (path === "/healthz")
      send(response, this.#isEnding ? 503 : 200, this.#isEnding ? "ending\n" : "ok\n");
    else if (path === "/readyz") this.#answerReady(response);
    else if (path === "/metrics") await this.#answerMetrics(response);
    else send(response, 404, "there are /healthz, /readyz and /metrics\n");
  }

  #answerReady(response: ServerResponse): void {
    const reasons = this.#isEnding ? ["this program: it is ending"] : [];
    for (const [name, check] of this.#checks) {
      const reason = check();
      if (reason !== null) reasons.push(`${name}: ${reason}`);
    }
    send(
      response,
      reasons.length === 0 ? 200 : 503,
      reasons.length === 0 ? "ok\n" : `${reasons.join("\n")}\n`,
    );
  }

  async #answerMetrics(response: ServerResponse): Promise<void> {
    try {
      const text = await this.#metrics.text();
      response.setHeader("content-type", this.#metrics.contentType);
      send(response, 200, text);
    } catch (error) {
      send(response, 500, `the metrics cannot be told: ${messageOf(error)}\n`);
    }
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader("content-type")) response.setHeader("content-type", "text/plain; charset=utf-8");
  response.writeHead(status).end(text);
}

function listenError(error: Error, host: string, port: number): DinpError {
  const at = `${host}:${String(port)}`;
  if ("code" in error && error.code === "EADDRINUSE") {
    return new DinpError("DINP_PORT_TAKEN", `observe.listen cannot be ${at}: the port is taken.`, {
      hint: "Give each program of a machine a port of its own.",
    });
  }
  return new DinpError("DINP_INVALID", `observe.listen cannot be ${at}: ${messageOf(error)}.`);
}
