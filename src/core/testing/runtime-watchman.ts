import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { eventually, within } from "./conformance.js";

/** A network that is taken down with a process may lose the end of its connections. Longer than any mutant is waited for. */
const SILENCE_MS = 5_000;

/** Somewhere that one process connects to while it lives, so that its end is seen from outside. */
export class Watchman {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;
  readonly #first: Promise<Socket>;
  readonly #sockets = new Set<Socket>();
  #heardAt = 0;

  private constructor(host: string, port: number, server: Server, first: Promise<Socket>) {
    this.host = host;
    this.port = port;
    this.#server = server;
    this.#first = first;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
    });
  }

  /** @param host Where the process finds it. */
  static async make({ hostAddress: host }: { readonly hostAddress: string }): Promise<Watchman> {
    const server = createServer();
    const first = new Promise<Socket>((resolve) => server.once("connection", resolve));
    const at = host.startsWith("127.") ? host : "0.0.0.0";
    await new Promise<void>((resolve) => server.listen(0, at, resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    return new Watchman(host, address.port, server, first);
  }

  /** Resolves when the process has come. */
  async came(): Promise<void> {
    const socket = await within(this.#first, "a process that is left behind");
    this.#heardAt = performance.now();
    socket.on("data", () => (this.#heardAt = performance.now()));
  }

  /** Says something to the process. */
  async speak(): Promise<void> {
    (await within(this.#first, "a process that is left behind")).write("go");
  }

  /** Goes home, whoever is still there. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Resolves when it is gone: its connection is closed, or silent for long, since its last word may not have come through. */
  async isGone(): Promise<void> {
    const socket = await within(this.#first, "a process that is left behind");
    const isOver = (): boolean => socket.destroyed || performance.now() - this.#heardAt > SILENCE_MS;
    await eventually(isOver, "the end of a process that was left behind");
  }
}
