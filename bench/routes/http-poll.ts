import { connect, type Socket } from "node:net";

/** One kept-alive connection to a router, which it asks with as little work as can be. */
export class HttpPoll {
  readonly #socket: Socket;
  #text = "";
  #onAnswer: ((status: number) => void) | null = null;
  #onFailure: ((error: Error) => void) | null = null;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => {
      this.#take(text);
    });
    this.#socket.on("error", (error) => this.#onFailure?.(error));
    this.#socket.on("close", () => this.#onFailure?.(new Error("The router closed the connection.")));
  }

  /** The status that the router answers for the host. One question at a time. */
  ask(host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#onAnswer = resolve;
      this.#onFailure = reject;
      this.#socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    });
  }

  close(): void {
    this.#onFailure = null;
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#text += text;
    const headEnd = this.#text.indexOf("\r\n\r\n");
    if (headEnd === -1) return;
    const head = this.#text.slice(0, headEnd);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? NaN);
    if (Number.isNaN(length)) {
      this.#onFailure?.(new Error(`An answer has no length:\n${head}`));
      return;
    }
    if (this.#text.length < headEnd + 4 + length) return;
    this.#text = "";
    this.#onAnswer?.(Number(head.slice(9, 12)));
  }
}
