import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/**
 * `none`: everything passes · `before`: the connection is cut, and the COMMIT does not arrive · `after`: it arrives with all that
 * was sent with it, the client is cut off when the first answer comes, and the server does not notice · `hold`: it does not arrive while the proxy is held, nor does anything after it.
 */
export type CommitFault = "none" | "before" | "after" | "hold";

/** A TCP proxy before a database that breaks the next transaction at its COMMIT. */
export class CommitProxy {
  fault: CommitFault = "none";
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  #onHeld: () => void = () => undefined;

  private constructor(target: number) {
    this.#server = createServer((client) => {
      this.#accept(client, target);
    });
  }

  static async start(target: number): Promise<CommitProxy> {
    const proxy = new CommitProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when the next COMMIT is held. */
  hold(): Promise<void> {
    this.fault = "hold";
    return new Promise((resolve) => {
      this.#onHeld = resolve;
    });
  }

  letGo(): void {
    for (const pass of this.#held.splice(0)) pass();
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket, target: number): void {
    const server = connect(target, "127.0.0.1");
    let isCutOnAnswer = false;
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (!isCutOnAnswer || socket === server) other.destroy();
      });
    }
    server.on("data", (data: Buffer) => {
      if (isCutOnAnswer) client.destroy();
      else client.write(data);
    });
    client.on("data", (data: Buffer) => {
      const fault = data.includes("COMMIT") && !data.includes("READ COMMITTED") ? this.fault : "none";
      if (fault !== "none") this.fault = "none";
      switch (fault) {
        case "none":
          server.write(data);
          return;
        case "before":
          client.destroy();
          return;
        case "after":
          isCutOnAnswer = true;
          server.write(data);
          return;
        case "hold":
          client.pause();
          this.#held.push(() => {
            server.write(data);
            client.resume();
          });
          this.#onHeld();
      }
    });
  }
}
