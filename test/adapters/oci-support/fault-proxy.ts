import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";

/** What becomes of the connections that are made from now on, and of those that are. */
export type Fault =
  /** Everything passes. */
  | { readonly kind: "none" }
  /** Connections are reset as soon as they are made. */
  | { readonly kind: "refuse" }
  /** Nothing passes, in either direction. */
  | { readonly kind: "hang" }
  /** Each connection is reset once this many bytes have passed that way. `times`: then everything passes. */
  | {
      readonly kind: "cut";
      readonly way: "up" | "down";
      readonly afterBytes: number;
      readonly times: number;
    }
  /** At most this many bytes pass that way in each 10 ms, on each connection. */
  | { readonly kind: "slow"; readonly bytes: number };

/** A TCP proxy before a real server that breaks connections on demand. */
export class FaultProxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #fault: Fault = { kind: "none" };
  #cutsLeft = 0;
  #sentBytes = 0;
  #receivedBytes = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((socket) => {
      this.#accept(socket);
    });
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Bytes that came from clients so far. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Bytes that were sent to clients so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** How many of the cuts that were asked for have not been made. */
  get cutsLeft(): number {
    return this.#cutsLeft;
  }

  /** Connections that are open towards the client. */
  get open(): number {
    return this.#sockets.size;
  }

  set(fault: Fault): void {
    this.#fault = fault;
    this.#cutsLeft = fault.kind === "cut" ? fault.times : 0;
    if (fault.kind === "refuse") for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    this.#sockets.add(client);
    client.on("close", () => this.#sockets.delete(client));
    client.on("error", () => {});
    if (this.#fault.kind === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target, "127.0.0.1");
    server.on("error", () => {});
    const end = (): void => {
      client.resetAndDestroy();
      server.resetAndDestroy();
    };
    void this.#pump(client, server, "up", end).catch(end);
    void this.#pump(server, client, "down", end).catch(end);
    // What came before an orderly end is still on its way to the client.
    server.on("close", (wasCut) => {
      if (wasCut) client.destroy();
    });
    client.on("close", () => server.destroy());
  }

  async #pump(from: Socket, to: Socket, way: "up" | "down", end: () => void): Promise<void> {
    let passed = 0;
    for await (const data of from) {
      let rest = data as Buffer;
      while (rest.length > 0) {
        const fault = this.#fault;
        let size = rest.length;
        if (fault.kind === "hang") {
          await tick();
          continue;
        }
        if (fault.kind === "slow") {
          size = fault.bytes;
          await tick();
        }
        if (fault.kind === "cut" && fault.way === way && this.#cutsLeft > 0) {
          if (passed >= fault.afterBytes) {
            this.#cutsLeft -= 1;
            end();
            return;
          }
          size = fault.afterBytes - passed;
        }
        const piece = rest.subarray(0, size);
        rest = rest.subarray(piece.length);
        passed += piece.length;
        if (way === "up") this.#sentBytes += piece.length;
        else this.#receivedBytes += piece.length;
        if (!to.write(piece)) await drained(to);
        if (to.destroyed) return;
      }
    }
    to.end();
  }
}

async function tick(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10));
}

async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
