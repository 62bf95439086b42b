import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Which way data go: from who connects to the line, or back to it. */
export type Direction = "there" | "back";

/** Of one connection: whether data are held, and all that comes after them that way. Asked for each piece that arrives. */
export type Holds = (data: Buffer, connection: number, direction: Direction) => boolean;

/**
 * A TCP line between two programs, with faults: it holds data at a chosen piece, cuts connections, takes none, or drops all
 * silently, as a network does that leads nowhere any more.
 */
export class FaultLine {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  #holds: Holds = () => false;
  #onHeld: (() => void) | null = null;
  #connections = 0;
  #isClosed = false;
  #isDropping = false;
  #onDialled: (() => void) | null = null;

  private constructor(target: number) {
    this.#server = createServer((client) => {
      this.#accept(client, target);
    });
  }

  static async to(target: number): Promise<FaultLine> {
    const line = new FaultLine(target);
    await new Promise<void>((resolve) => line.#server.listen(0, "127.0.0.1", resolve));
    return line;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The URL of what it leads to, by this line. */
  url(direct: string): string {
    const url = new URL(direct);
    url.port = String(this.port);
    url.hostname = "127.0.0.1";
    return url.href;
  }

  /** From now on holds what `holds` says; resolves when so many connections are held. */
  hold(holds: Holds, count = 1): Promise<void> {
    this.#holds = holds;
    return new Promise((resolve) => {
      this.#onHeld = () => {
        if (this.#held.length >= count) resolve();
      };
    });
  }

  /** Lets all go on their way that is held, and holds nothing any more. */
  letGo(): void {
    this.#holds = () => false;
    this.letHeldGo();
  }

  /** Lets go on its way what is held, and holds on. */
  letHeldGo(): void {
    for (const pass of this.#held.splice(0)) pass();
  }

  /** Resolves at the next connection that is made by this line. */
  dialled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDialled = resolve;
    });
  }

  /** Ends all connections, and takes none until {@link FaultLine.heal}. */
  cut(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** From now on nothing gets through, and nobody is told. */
  drop(): void {
    this.#isDropping = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Takes connections again. Those that were dropped are reset, as their ends learn when they say something. */
  heal(): void {
    this.#isClosed = false;
    if (!this.#isDropping) return;
    this.#isDropping = false;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket, target: number): void {
    client.on("error", () => undefined);
    if (this.#isClosed) {
      client.resetAndDestroy();
      return;
    }
    this.#connections += 1;
    const connection = this.#connections;
    const server = connect(target, "127.0.0.1");
    this.#join(client, server, connection, "there");
    this.#join(server, client, connection, "back");
    this.#onDialled?.();
    if (this.#isDropping) for (const socket of [client, server]) socket.pause();
  }

  #join(from: Socket, to: Socket, connection: number, direction: Direction): void {
    this.#sockets.add(from);
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#sockets.delete(from);
      if (!this.#isDropping) to.destroy();
    });
    from.on("data", (data: Buffer) => {
      if (this.#isDropping) return;
      if (!this.#holds(data, connection, direction)) {
        to.write(data);
        return;
      }
      from.pause();
      this.#held.push(() => {
        if (!to.destroyed) to.write(data);
        from.resume();
      });
      this.#onHeld?.();
    });
  }
}
