import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server as HttpServer } from "node:http";
import { connect, createServer as createTcpServer, type Server as TcpServer, type Socket } from "node:net";
import { eventually } from "./conformance.js";

/** Runs while an HTTP server listens on a port of 127.0.0.1. */
export function withHttp(listener: RequestListener, run: (port: number) => Promise<void>): Promise<void> {
  return withServer(createServer(listener), run);
}

/** Runs while a server of bare connections listens on a port of 127.0.0.1. */
export function withTcp(
  accept: (socket: Socket) => void,
  run: (port: number) => Promise<void>,
): Promise<void> {
  return withServer(createTcpServer(accept), run);
}

/** Runs while the server listens, then ends it with all of its connections. */
export async function withServer(
  server: HttpServer | TcpServer,
  run: (port: number) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  const port = await listen(server);
  try {
    await run(port);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
}

/** The port of 127.0.0.1 that the server got. */
export async function listen(server: HttpServer | TcpServer): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return address.port;
}

/** A port of 127.0.0.1 that nothing listens on. */
export async function deadPort(): Promise<number> {
  const server = createTcpServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The connections of a server of 127.0.0.1, which takes what comes and says nothing. */
export class Connections {
  /** Without those that {@link untilNone} makes. */
  opened = 0;
  readonly #open = new Set<Socket>();
  /** The ports at the other end of all that were accepted. */
  readonly #ports = new Set<number>();

  readonly accept = (socket: Socket): void => {
    this.opened += 1;
    this.#open.add(socket);
    if (socket.remotePort !== undefined) this.#ports.add(socket.remotePort);
    socket.once("close", () => this.#open.delete(socket));
    socket.resume();
  };

  /** Resolves when all connections are gone that were begun before this call. */
  async untilNone(port: number): Promise<void> {
    // They are accepted in the order in which they came: with this one all earlier ones are known.
    const last = connect(port, "127.0.0.1");
    await once(last, "connect");
    const { localPort } = last;
    await eventually(
      () => localPort !== undefined && this.#ports.has(localPort),
      "a connection to be accepted",
    );
    this.opened -= 1;
    last.destroy();
    await eventually(() => this.#open.size === 0, "the end of the connections");
  }
}
