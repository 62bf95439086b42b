import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { ControlLinkClient, LocalState, Logger, NodeGate } from "@dinp/core";
import type { ControlLinkHarness } from "@dinp/core/testing";
import {
  createWebSocketLinkClient,
  createWebSocketLinkServer,
  type WebSocketLinkClientOptions,
  type WebSocketLinkServer,
  type WebSocketLinkServerOptions,
} from "@dinp/core/websocket";
import { openGate } from "./memory-gate.js";

export const JOIN_TOKEN = "dinpj_for-tests";

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A local state in memory. */
export function memoryState(): LocalState {
  const values = new Map<string, string>();
  return {
    read: (key) => Promise.resolve(values.get(key) ?? null),
    write: (key, value) => {
      values.set(key, value);
      return Promise.resolve();
    },
  };
}

/** A link's server behind a listener of its own on 127.0.0.1. */
export class LinkRig {
  readonly link: WebSocketLinkServer;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #scheme: string;

  private constructor(options: Partial<WebSocketLinkServerOptions>, certificates: Certificates | null) {
    const gate: NodeGate = openGate(JOIN_TOKEN);
    this.link = createWebSocketLinkServer({ gate, logger: quiet, ...options });
    this.#server = certificates === null ? createServer() : createTlsServer(certificates);
    this.#scheme = certificates === null ? "http" : "https";
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.link.attach(this.#server);
  }

  static async start(
    options: Partial<WebSocketLinkServerOptions> = {},
    certificates: Certificates | null = null,
  ): Promise<LinkRig> {
    const rig = new LinkRig(options, certificates);
    await new Promise<void>((resolve) => rig.#server.listen(0, "127.0.0.1", resolve));
    return rig;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${String(this.port)}`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  client(options: Partial<WebSocketLinkClientOptions> = {}): ControlLinkClient {
    return createWebSocketLinkClient({
      ...{ servers: [this.url], state: memoryState(), joinToken: JOIN_TOKEN, logger: quiet },
      ...{ plaintext: this.#scheme === "http", pauseMsMax: 5 },
      ...options,
    });
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    await this.link.close();
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export async function linkHarness(certificates: Certificates | null = null): Promise<ControlLinkHarness> {
  const rig = await LinkRig.start({}, certificates);
  const options = certificates === null ? {} : { ca: certificates.ca };
  return {
    server: rig.link,
    agent: () => Promise.resolve(rig.client(options)),
    cut: () => {
      rig.cut();
      return Promise.resolve();
    },
    dispose: () => rig.close(),
  };
}
