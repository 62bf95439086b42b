import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { DinpError, messageOf, type Admission, type AgentSession, type NodeId } from "@dinp/core";
import { WebSocketServer, type WebSocket } from "ws";
import { AgentConnection } from "./agent-connection.js";
import { Arrivals } from "./arrivals.js";
import { closeCodes } from "./close-codes.js";
import { greet, type Greeting } from "./greeting.js";
import { DEFAULT_FRAME_BYTES_MAX, DEFAULT_PATH, DEFAULT_PING_MS, PROTOCOL } from "./limits.js";
import type { WebSocketLinkServer, WebSocketLinkServerOptions } from "./options.js";
import { refusalOf, refuse } from "./refusals.js";
import { followRevocations } from "./revocations.js";
import { admissionRequestOf } from "./upgrade-request.js";

class LinkServer implements WebSocketLinkServer {
  readonly #options: WebSocketLinkServerOptions;
  readonly #path: string;
  readonly #webSockets: WebSocketServer;
  readonly #arrivals = new Arrivals();
  /** The newest connection of each node. */
  readonly #connections = new Map<NodeId, AgentConnection>();
  /** From the first byte of an upgrade to the end of the connection. */
  readonly #sockets = new Set<Duplex>();
  readonly #closing = new AbortController();
  readonly #detachers = new Set<() => void>();

  constructor(options: WebSocketLinkServerOptions) {
    this.#options = options;
    this.#path = options.path ?? DEFAULT_PATH;
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.frameBytesMax ?? DEFAULT_FRAME_BYTES_MAX,
      handleProtocols: () => PROTOCOL,
    });
  }

  attach(server: HttpServer | HttpsServer): () => void {
    const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      // From here on nobody else hears of the socket's errors, and one that is unheard would end the process.
      socket.on("error", () => socket.destroy());
      if (pathOf(request) === this.#path) void this.#upgrade(request, socket, head);
      else if (server.listenerCount("upgrade") === 1) {
        refuse(socket, refusalOf(new DinpError("DINP_NOT_FOUND", "There is nothing to upgrade to here.")));
      }
    };
    server.on("upgrade", onUpgrade);
    const detach = (): void => {
      server.off("upgrade", onUpgrade);
      this.#detachers.delete(detach);
    };
    this.#detachers.add(detach);
    return detach;
  }

  async *accept(options: { readonly signal: AbortSignal }): AsyncGenerator<AgentSession, void, undefined> {
    const ending = new AbortController();
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    const admitted = new Set<AgentConnection>();
    const stopAccepting = this.#arrivals.open();
    const following = followRevocations(this.#options.gate, this.#options.logger, ending.signal, (nodeId) => {
      void this.#connections.get(nodeId)?.end(closeCodes.revoked, "this node was revoked");
    });
    try {
      for (;;) {
        const connection = await this.#arrivals.next(signal);
        if (connection === null) return;
        for (const each of admitted) if (!each.isOpen) admitted.delete(each);
        admitted.add(connection);
        connection.welcome();
        yield connection;
      }
    } finally {
      stopAccepting();
      ending.abort();
      const leaving = [...admitted].map((each) =>
        each.end(closeCodes.goingAway, "this server leads no more"),
      );
      await Promise.all([following, ...leaving]);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const detach of [...this.#detachers]) detach();
    const ends = [...this.#connections.values()].map((each) =>
      each.end(closeCodes.goingAway, "it shuts down"),
    );
    await Promise.all(ends);
    for (const socket of this.#sockets) socket.destroy();
    this.#webSockets.close();
  }

  /** Never rejects. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { greetingMs = 10_000, connectionsMax = 4_096 } = this.#options;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    try {
      if (this.#sockets.size > connectionsMax)
        throw new DinpError("DINP_BUSY", "As many agents are connected as may be.", { retryable: true });
      const late = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(greetingMs)]);
      const admission = await this.#options.gate.admit(admissionRequestOf(request), { signal: late });
      if (socket.destroyed) return;
      if (!this.#arrivals.isOpen) {
        this.#sendElsewhere(socket);
        return;
      }
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        void this.#greet(webSocket, request, admission);
      });
    } catch (error) {
      this.#noteRefusal(request, error);
      if (!socket.destroyed) refuse(socket, refusalOf(error));
    }
  }

  /** Followers send agents to the leader. */
  #sendElsewhere(socket: Duplex): void {
    const leader = this.#options.leaderUrl?.() ?? null;
    const told = { code: "DINP_UNAVAILABLE", message: "This server does not lead." } as const;
    if (leader === null) refuse(socket, { status: 503, ...told });
    else refuse(socket, { status: 307, ...told, location: new URL(this.#path, leader).href });
  }

  /** Never rejects. */
  async #greet(webSocket: WebSocket, request: IncomingMessage, admission: Admission): Promise<void> {
    const { pingMs = DEFAULT_PING_MS, greetingMs = 10_000 } = this.#options;
    const bytesRead = (): number => request.socket.bytesRead;
    let greeting: Greeting;
    try {
      greeting = await greet(webSocket, { pingMs, bytesRead }, greetingMs);
    } catch (error) {
      this.#options.logger.debug("an agent was not greeted", {
        node: admission.nodeId,
        error: messageOf(error),
      });
      return;
    }
    const { nodeId } = greeting.hello.hello;
    if (nodeId === admission.nodeId) this.#enter(greeting, admission);
    else await greeting.socket.close(closeCodes.badFrame, "it says that it is another node");
  }

  #enter(greeting: Greeting, admission: Admission): void {
    const { gate, logger } = this.#options;
    const { nodeId } = admission;
    let newest = admission;
    const connection: AgentConnection = new AgentConnection(greeting, {
      rotate: async (keyHash) => {
        newest = await gate.rotate(newest, keyHash, { signal: this.#closing.signal });
      },
      onRefusedRotation: (error) => {
        logger.warn("a node's new key was not taken", { node: nodeId, error });
      },
      onEnd: ({ code, reason }) => {
        if (this.#connections.get(nodeId) === connection) this.#connections.delete(nodeId);
        const level = code === closeCodes.badFrame ? "warn" : "debug";
        logger[level]("an agent's connection ended", { node: nodeId, code, reason });
      },
    });
    if (!connection.isOpen) return;
    this.#replace(nodeId, connection);
    this.#arrivals.add(connection);
  }

  /** The newest one counts: the older one may be half open. Another process that is alive is told, on both sides. */
  #replace(nodeId: NodeId, connection: AgentConnection): void {
    const older = this.#connections.get(nodeId);
    this.#connections.set(nodeId, connection);
    if (older === undefined) return;
    if (older.agentRun !== connection.agentRun) {
      const { address } = connection.hello;
      this.#options.logger.warn("two agents speak for one node; the newer one counts", {
        ...{ node: nodeId, address, olderAddress: older.hello.address },
      });
    }
    void older.end(closeCodes.replaced, `another agent speaks for ${nodeId}`);
  }

  #noteRefusal({ socket }: IncomingMessage, error: unknown): void {
    this.#options.logger.warn("an agent was refused", {
      ...{ from: socket.remoteAddress ?? "", error: messageOf(error) },
    });
  }
}

/** Null for what is no URL. */
function pathOf({ url = "/" }: IncomingMessage): string | null {
  return URL.canParse(url, "http://link") ? new URL(url, "http://link").pathname : null;
}

/** Creates the servers' side of the link. Does nothing until it is attached. */
export function createWebSocketLinkServer(options: WebSocketLinkServerOptions): WebSocketLinkServer {
  return new LinkServer(options);
}
