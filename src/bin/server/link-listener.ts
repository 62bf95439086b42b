import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { DinpError, messageOf } from "@dinp/core";
import type { WebSocketLinkServer } from "@dinp/core/websocket";
import type { HostPort } from "../config/setting.js";

export interface LinkListener {
  readonly at: HostPort;
  close(): Promise<void>;
}

/** Of connections that do not become links: a head that comes by single bytes is not waited for. */
const HEAD_MS_MAX = 10_000;
const CHECK_MS = 2_000;
/** Each node has one. */
const CONNECTIONS_MAX = 16_384;

/** Listens for agents, with TLS if there is a certificate. `DINP_PORT_TAKEN`, `DINP_INVALID`. */
export async function listenForAgents(
  link: WebSocketLinkServer,
  { host, port }: HostPort,
  tls: { readonly cert: string; readonly key: string } | null,
  headMsMax = HEAD_MS_MAX,
): Promise<LinkListener> {
  const bounds = {
    headersTimeout: headMsMax,
    requestTimeout: headMsMax,
    connectionsCheckingInterval: CHECK_MS,
  };
  const server =
    tls === null
      ? createServer(bounds)
      : createTlsServer({ ...bounds, ...tls, minVersion: "TLSv1.2", handshakeTimeout: headMsMax });
  server.maxConnections = CONNECTIONS_MAX;
  server.on("request", (_request, response) => {
    response.writeHead(426, { upgrade: "websocket", connection: "close" }).end("Agents connect here.\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(listenError(error, host, port));
    });
    server.listen(port, host, resolve);
  });
  const detach = link.attach(server);
  return {
    at: { host, port: (server.address() as AddressInfo).port },
    close: async () => {
      detach();
      await closed(server);
    },
  };
}

async function closed(server: Server): Promise<void> {
  const end = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await end;
}

function listenError(error: Error, host: string, port: number): DinpError {
  const at = `${host}:${String(port)}`;
  const isTaken = "code" in error && error.code === "EADDRINUSE";
  return isTaken
    ? new DinpError("DINP_PORT_TAKEN", `server.linkListen cannot be ${at}: the port is taken.`, {
        hint: "Does another server run on this machine? Give each a port of its own.",
      })
    : new DinpError("DINP_INVALID", `server.linkListen cannot be ${at}: ${messageOf(error)}.`);
}
