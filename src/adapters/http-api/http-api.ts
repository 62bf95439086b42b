import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { getRequestListener } from "@hono/node-server";
import { DinpError, messageOf, type Logger, type Platform } from "@dinp/core";
import { createApi } from "./api.js";
import { boundClient } from "./client-bounds.js";
import { Forwarding } from "./forward.js";
import { LineStreams } from "./line-streams.js";
import type { HttpApiPeers } from "./peers.js";
import { watchForUnreadable } from "./unreadable.js";

export interface HttpApiOptions {
  readonly platform: Platform;
  readonly logger: Logger;
  /** `port` 0 takes any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** A certificate with its chain, and its key, as PEM: with them the API speaks TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** In a cluster: who answers what this process cannot. */
  readonly peers?: HttpApiPeers;
  /** What is answered: `builds`: only what servers pass on to a process that makes builds. Default: `all`. */
  readonly scope?: "all" | "builds";
  /** Between heartbeats of a quiet stream, and between interim answers of what takes long. Default 10,000. */
  readonly heartbeatMs?: number;
  /** Streams (logs, events, rollouts) that may be open at the same time. Default 256. */
  readonly streamsMax?: number;
  /** A client that takes nothing of its answer, or sends nothing of its body, for this long is let go. Default 60,000. */
  readonly stallMs?: number;
  /** For a request's whole head, and a TLS handshake. Default 15,000. */
  readonly headTimeoutMs?: number;
  /** How long a client may go on sending a body after its request was answered. Default 10,000. */
  readonly restMs?: number;
  /** How long `close` waits for requests in flight. Default 5,000. */
  readonly closeGraceMs?: number;
}

/** The platform's HTTP API, version 1, as `/openapi.json` describes it. */
export interface HttpApi {
  /** Listens; resolves to the API's URL. `DINP_PORT_TAKEN`. */
  start(): Promise<string>;
  /** The API's URL; null before `start` and after `close`. */
  readonly url: string | null;
  /** Ends streams, waits a bounded time for the other requests, then cuts what is left. Idempotent. */
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 4_096;

class NodeHttpApi implements HttpApi {
  readonly #options: HttpApiOptions;
  readonly #streams: LineStreams;
  readonly #forwarding: Forwarding | null;
  readonly #server: Server;
  #url: string | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: HttpApiOptions) {
    this.#options = options;
    const { platform, logger, heartbeatMs = 10_000, stallMs = 60_000, restMs = 10_000 } = options;
    this.#streams = new LineStreams({ heartbeatMs, streamsMax: options.streamsMax ?? 256, stallMs });
    const { scope = "all" } = options;
    const api = createApi({ platform, logger, scope, streams: this.#streams, heartbeatMs });
    const listener = getRequestListener((request, env) => api.fetch(request, env), {
      overrideGlobalObjects: false,
    });
    this.#forwarding = options.peers === undefined ? null : new Forwarding(options.peers, logger);
    this.#server = listenWith(options, (incoming, outgoing) => {
      boundClient(incoming, outgoing, { stallMs, restMs });
      if (this.#forwarding?.take(incoming, outgoing) === true) return;
      listener(incoming, outgoing).catch((error: unknown) => {
        logger.error("a request broke", { error: messageOf(error) });
        outgoing.destroy();
      });
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    watchForUnreadable(this.#server);
  }

  get url(): string | null {
    return this.#url;
  }

  async start(): Promise<string> {
    if (this.#closing !== null) throw new DinpError("DINP_CLOSED", "The HTTP API was closed.");
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => {
        reject(listenError(error, host, port));
      };
      this.#server.once("error", onError);
      this.#server.listen(port, host, () => {
        this.#server.off("error", onError);
        resolve();
      });
    });
    this.#server.on("error", (error) => {
      this.#options.logger.error("the HTTP API's listener failed", { error: error.message });
    });
    const address = this.#server.address();
    const actual = typeof address === "object" && address !== null ? address.port : port;
    const scheme = this.#options.tls === undefined ? "http" : "https";
    this.#url = `${scheme}://${host.includes(":") ? `[${host}]` : host}:${String(actual)}`;
    return this.#url;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#url = null;
    this.#streams.close();
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    this.#server.closeIdleConnections();
    // A connection whose last request has just ended is idle from then on.
    const idle = setInterval(() => {
      this.#server.closeIdleConnections();
    }, 20);
    const end = setTimeout(() => {
      this.#server.closeAllConnections();
    }, this.#options.closeGraceMs ?? 5_000);
    await closed;
    this.#forwarding?.close();
    clearInterval(idle);
    clearTimeout(end);
  }
}

function listenWith(
  { tls, headTimeoutMs = 15_000 }: Pick<HttpApiOptions, "tls" | "headTimeoutMs">,
  listener: RequestListener,
): Server {
  // An upload may take long: it is the build that is bounded in time, and the bodies of all other requests.
  const bounds = { requestTimeout: 0, headersTimeout: headTimeoutMs, connectionsCheckingInterval: 1_000 };
  return tls === undefined
    ? createServer(bounds, listener)
    : createTlsServer(
        { ...bounds, ...tls, minVersion: "TLSv1.2", handshakeTimeout: headTimeoutMs },
        listener,
      );
}

function listenError(error: Error, host: string, port: number): DinpError {
  const code = "code" in error ? error.code : undefined;
  const address = `${host}:${String(port)}`;
  if (code === "EADDRINUSE") {
    return new DinpError(
      "DINP_PORT_TAKEN",
      `The API cannot listen on ${address}: another program has that port.`,
      {
        hint: "Stop that program (is the platform running already?), or choose another port for the API.",
        cause: error,
      },
    );
  }
  const hint =
    code === "EACCES"
      ? "Ports below 1024 need more rights: choose a higher one."
      : "Choose another address for the API.";
  return new DinpError("DINP_UNAVAILABLE", `The API cannot listen on ${address}: ${error.message}.`, {
    hint,
    cause: error,
  });
}

/** The HTTP API of a platform. Listens once it is started. */
export function createHttpApi(options: HttpApiOptions): HttpApi {
  return new NodeHttpApi(options);
}
