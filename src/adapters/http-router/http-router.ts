import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import { DinpError, messageOf } from "@dinp/core";
import { methodNotAllowed } from "./check-request.js";
import { Connection, type Job } from "./connection.js";
import { Dispatcher } from "./dispatcher.js";
import type { HttpRouterOptions } from "./options.js";
import { badRequest, type Refusal } from "./refusal.js";

/** The listening side of the data plane. */
export interface HttpRouter {
  /** Listens; resolves with the address. `DINP_PORT_TAKEN`, `DINP_INVALID` (an address that cannot be had), `DINP_CLOSED`. */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /**
   * Takes no new connection, lets the requests in flight end for `drainMs` (the option's when not given), then cuts what
   * is left. Idempotent.
   */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/**
 * Makes a router: `node:http` in front, any forwarder of its exchanges behind. Does no I/O before `start`.
 *
 * A request is checked strictly, routed by host and path, and sent to the route's endpoints in turn; where that may be
 * done it is tried again at another one. Every answer carries `x-request-id`; an answer of the router's own carries
 * `x-dinp-error` with its reason. `TypeError` for a malformed `routerId`, `DINP_INVALID` for a malformed proxy address.
 */
export function createHttpRouter(options: HttpRouterOptions): HttpRouter {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(options.routerId)) {
    throw new TypeError("A router's id is 1 to 64 of letters, digits, '.', '_' and '-'.");
  }
  return new NodeHttpRouter(options);
}

class NodeHttpRouter implements HttpRouter {
  readonly #options: HttpRouterOptions;
  readonly #dispatcher: Dispatcher;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  /** Those that wait for a request, the one that has waited longest first. */
  readonly #idle = new Set<Connection>();
  readonly #clientIdleTimeoutMs: number;
  #closing: Promise<void> | null = null;

  constructor(options: HttpRouterOptions) {
    this.#options = options;
    this.#dispatcher = new Dispatcher(options);
    this.#clientIdleTimeoutMs = options.clientIdleTimeoutMs ?? 60_000;
    this.#server = this.#createServer();
  }

  async start(): Promise<{ readonly host: string; readonly port: number }> {
    if (this.#closing !== null) throw new DinpError("DINP_CLOSED", "The router is closed.");
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => {
        reject(listenError(error, host, port));
      };
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.off("error", failed);
        resolve();
      });
    });
    const address = this.#server.address();
    return { host, port: isAddressInfo(address) ? address.port : port };
  }

  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainMs ?? this.#options.drainMs ?? 10_000);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const connection of this.#connections.values()) this.#letEnd(connection);
    const timer = setTimeout(() => {
      for (const socket of this.#connections.keys()) socket.destroy();
    }, drainMs);
    await closed;
    clearTimeout(timer);
  }

  /** Closes the connection after what it is doing. */
  #letEnd({ busy, running, socket }: Connection): void {
    if (!busy) socket.destroySoon();
    else if (running !== null && !running.response.headersSent) running.response.shouldKeepAlive = false;
  }

  #createServer(): Server {
    const options = this.#options;
    const server = createServer({
      insecureHTTPParser: false,
      // Missing hosts get an answer of our own.
      requireHostHeader: false,
      maxHeaderSize: options.headBytesMax ?? 32 * 1024,
      headersTimeout: options.headTimeoutMs ?? 15_000,
      // A long upload is no fault; one that stands still is, see `#onTimeout`.
      requestTimeout: 0,
      keepAliveTimeout: options.keepAliveTimeoutMs ?? 60_000,
      connectionsCheckingInterval: 1_000,
    });
    // The parser would drop fields above its own limit in silence; they are counted and refused instead.
    server.maxHeadersCount = 0;
    // A client that has closed its sending side still gets its answer. (Not in the type definitions.)
    Object.assign(server, { httpAllowHalfOpen: true });
    server.setTimeout(this.#clientIdleTimeoutMs, (socket) => {
      this.#onTimeout(socket);
    });
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      this.#enqueue({ request, response, refusal: null }, null);
    };
    server.on("connection", (socket) => {
      const isFull = this.#connections.size >= (options.connectionsMax ?? 10_000);
      if (isFull && !this.#makeRoom()) socket.destroy();
      else this.#connectionOf(socket);
    });
    server.on("request", onRequest);
    server.on("checkContinue", onRequest);
    server.on("checkExpectation", onRequest);
    server.on("upgrade", (request, _socket, head) => {
      this.#onUpgrade(request, head);
    });
    server.on("connect", (request) => {
      this.#connectionOf(request.socket).fail(methodNotAllowed("CONNECT"));
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      this.#onClientError(error, socket);
    });
    return server;
  }

  #connectionOf(socket: Socket): Connection {
    const present = this.#connections.get(socket);
    if (present !== undefined) return present;
    const connection: Connection = new Connection(socket, {
      halfClosedMs: this.#options.halfClosedMs ?? 5_000,
      onIdle: () => this.#idle.add(connection),
    });
    this.#connections.set(socket, connection);
    this.#idle.add(connection);
    socket.once("close", () => {
      this.#connections.delete(socket);
      this.#idle.delete(connection);
    });
    return connection;
  }

  /** Ends the connection that has waited longest for a request; false when none waits. */
  #makeRoom(): boolean {
    const [idle] = this.#idle;
    if (idle === undefined) return false;
    idle.socket.destroy();
    this.#connections.delete(idle.socket);
    this.#idle.delete(idle);
    return true;
  }

  #enqueue(job: Job, upgradeHead: Uint8Array | null): void {
    const { request, response } = job;
    // An aborted request emits an error when someone listens, and ends the process when nobody does.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    const connection = this.#connectionOf(request.socket);
    this.#idle.delete(connection);
    connection.enqueue(job, async () => {
      if (upgradeHead !== null) assign(response, request.socket);
      if (this.#closing !== null) response.shouldKeepAlive = false;
      try {
        await this.#dispatcher.dispatch(job, connection, upgradeHead);
      } catch (error) {
        this.#options.logger.error("a request failed in the router", { error: messageOf(error) });
        request.socket.destroy();
      }
      if (this.#closing !== null)
        setImmediate(() => {
          this.#letEnd(connection);
        });
    });
  }

  /** After this event `node:http` reads nothing more from the connection: this request is its last. */
  #onUpgrade(request: IncomingMessage, head: Uint8Array): void {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    this.#enqueue({ request, response, refusal: null }, head);
  }

  #onClientError(error: NodeJS.ErrnoException, stream: unknown): void {
    if (!(stream instanceof Socket)) return;
    if (error.code === "ECONNRESET" || error.code === "EPIPE" || !stream.writable) stream.destroy();
    else this.#connectionOf(stream).fail(refusalOf(error));
  }

  /** Nothing was sent or received for a while: whose turn is it? */
  #onTimeout(socket: Socket): void {
    const connection = this.#connections.get(socket);
    const job = connection?.running ?? null;
    if (connection === undefined || !connection.busy) {
      socket.destroy();
    } else if (job !== null && !job.request.complete && !job.request.isPaused()) {
      connection.interrupt(job, bodyTimeout(this.#clientIdleTimeoutMs));
    } else if (socket.writableLength > 0) {
      socket.destroy();
    } else {
      // The app is being waited for; the forwarder sees to that.
      socket.setTimeout(this.#clientIdleTimeoutMs);
    }
  }
}

/** Makes the response of an upgrade request write to its connection, and close it after the end. */
function assign(response: ServerResponse, socket: Socket): void {
  socket.setTimeout(0);
  response.assignSocket(socket);
  response.once("finish", () => {
    socket.destroySoon();
  });
}

function refusalOf(error: NodeJS.ErrnoException): Refusal {
  switch (error.code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return {
        status: 408,
        reason: "request_timeout",
        message: "The head of the request did not come in time.",
        close: true,
      };
    case "HPE_HEADER_OVERFLOW":
      return {
        status: 431,
        reason: "fields_too_large",
        message: "The request target and header fields are too large. Send less, or in the body.",
        close: true,
      };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return badRequest("The chunk extensions are too large.");
    default:
      return badRequest(`What came is not an HTTP/1.1 request: ${messageOf(error)}.`);
  }
}

function bodyTimeout(ms: number): Refusal {
  return {
    status: 408,
    reason: "request_timeout",
    message: `Nothing of the request body came for ${String(ms)} ms.`,
    close: true,
  };
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): DinpError {
  const options = { cause: error, details: { host, port } };
  switch (error.code) {
    case "EADDRINUSE":
      return new DinpError("DINP_PORT_TAKEN", `The router's port ${String(port)} on ${host} is taken.`, {
        ...options,
        hint: `Stop the program that listens there (\`ss -ltnp "sport = :${String(port)}"\` names it), or give the router another port.`,
      });
    case "EACCES":
      return new DinpError("DINP_INVALID", `The router may not listen on port ${String(port)} of ${host}.`, {
        ...options,
        hint: "Ports below 1024 are for root: choose a higher one.",
      });
    default:
      return new DinpError(
        "DINP_INVALID",
        `The router cannot listen on ${host}:${String(port)}: ${error.message}`,
        {
          ...options,
          hint: "Give an address of this machine, 127.0.0.1 or 0.0.0.0 for example.",
        },
      );
  }
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return address !== null && typeof address !== "string";
}
