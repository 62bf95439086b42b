import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A piece of what goes over a line, with its bytes as Latin-1. */
export interface Piece {
  readonly text: string;
  /** `there`: from who connects to the line; `back`: to it. */
  readonly direction: "there" | "back";
}

interface Held {
  readonly text: string;
  /** Gives where it goes, once it is on its way. */
  readonly pass: () => Socket;
}

/** A TCP line between two programs that can hold back what goes over it, and be cut. */
export class HeldLine {
  /** What goes there instead of a text of the same length. */
  rewrite: (text: string) => string = (text) => text;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #held: Held[] = [];
  #holds: (piece: Piece) => boolean = () => false;
  #onHeld: () => void = () => undefined;
  #onDialled: () => void = () => undefined;
  #isCut = false;

  private constructor(target: number) {
    this.#server = createServer((client) => {
      this.#accept(client, target);
    });
  }

  /** To a port of this machine. */
  static async to(target: number): Promise<HeldLine> {
    const line = new HeldLine(target);
    await new Promise<void>((resolve) => line.#server.listen(0, "127.0.0.1", resolve));
    return line;
  }

  /** The URL of what it leads to, by this line. */
  url(direct: string): string {
    const { port } = this.#server.address() as AddressInfo;
    return Object.assign(new URL(direct), { hostname: "127.0.0.1", port: String(port) }).href;
  }

  /** Holds each such piece, and what comes after it on its connection; resolves with the text of the first one. */
  hold(holds: (piece: Piece) => boolean): Promise<string> {
    this.#holds = holds;
    return new Promise((resolve) => {
      this.#onHeld = () => {
        const [first] = this.#held;
        if (first !== undefined) resolve(first.text);
      };
    });
  }

  /** Holds no more; resolves when what was held has been answered by such a text, or its connection has ended. */
  async letGo(answer: RegExp): Promise<void> {
    this.#holds = () => false;
    await Promise.all(this.#held.splice(0).map(({ pass }) => answered(pass(), answer)));
  }

  /** Resolves at the next connection that is made by this line. */
  dialled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDialled = resolve;
    });
  }

  /** Ends all connections with what is held of them, and takes none until {@link HeldLine.heal}. */
  cut(): void {
    this.#isCut = true;
    this.#held = [];
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  heal(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket, target: number): void {
    client.on("error", () => undefined);
    if (this.#isCut) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(target, "127.0.0.1");
    this.#join(client, server, "there");
    this.#join(server, client, "back");
    this.#onDialled();
  }

  #join(from: Socket, to: Socket, direction: Piece["direction"]): void {
    this.#sockets.add(from);
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#sockets.delete(from);
      // With what was said last, which the other end may not have read yet.
      to.destroySoon();
    });
    from.on("data", (data: Buffer) => {
      const text = data.toString("latin1");
      const pass = (): Socket => {
        if (!to.destroyed) to.write(Buffer.from(direction === "there" ? this.rewrite(text) : text, "latin1"));
        from.resume();
        return to;
      };
      if (!this.#holds({ text, direction })) {
        pass();
        return;
      }
      from.pause();
      this.#held.push({ text, pass });
      this.#onHeld();
    });
  }
}

/** Resolves when such a text has come from the socket, after it was passed on; or when the socket has ended. */
function answered(socket: Socket, answer: RegExp): Promise<void> {
  return new Promise((resolve) => {
    let text = "";
    if (socket.destroyed) resolve();
    socket.once("close", resolve);
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
      if (answer.test(text)) resolve();
    });
  });
}
