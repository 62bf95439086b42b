import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/**
 * A TCP proxy before a database that counts what clients send, in steps: one is what is sent without waiting for an
 * answer. It can stand still at one of them.
 */
export class StepProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #steps = 0;
  #stopAt: { readonly step: number; readonly isDelivered: boolean; readonly onStop: () => void } | null =
    null;

  private constructor(target: number) {
    this.#server = createServer((client) => {
      this.#accept(client, target);
    });
  }

  static async start(target: number): Promise<StepProxy> {
    const proxy = new StepProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Steps so far. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Stands still at this step, the first is 1: nothing passes any more in either direction. `isDelivered`: the step itself gets to
   * the server. Resolves when it does.
   */
  stopAt(step: number, isDelivered: boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#stopAt = { step, isDelivered, onStop: resolve };
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket, target: number): void {
    const server = connect(target, "127.0.0.1");
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    server.on("data", (data: Buffer) => {
      if (!this.#hasStopped) client.write(data);
    });
    client.on("data", (data: Buffer) => {
      this.#steps += 1;
      const stop = this.#stopAt;
      if (stop === null || this.#steps < stop.step) {
        server.write(data);
        return;
      }
      if (this.#steps === stop.step) {
        if (stop.isDelivered) server.write(data);
        stop.onStop();
      }
    });
  }

  get #hasStopped(): boolean {
    return this.#stopAt !== null && this.#steps >= this.#stopAt.step;
  }
}
