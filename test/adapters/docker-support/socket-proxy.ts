import { rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";

/** A socket before an engine's, which can stop answering. */
export class SocketProxy {
  readonly path: string;
  readonly #target: string;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer({ allowHalfOpen: true }, (client) => {
    this.#accept(client);
  });
  /** The first lines of the requests that came. */
  readonly #requests: string[] = [];
  #mode: "pass" | "refuse" | "hang" = "pass";
  #unfinished: RegExp | null = null;
  #shortened: { readonly request: RegExp; readonly bytes: number } | null = null;

  private constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
  }

  static async start(path: string, target: string): Promise<SocketProxy> {
    const proxy = new SocketProxy(path, target);
    await new Promise<void>((resolve) => proxy.#server.listen(path, resolve));
    return proxy;
  }

  /** Connections that are open towards the client. */
  get open(): number {
    return [...this.#sockets].filter((socket) => !socket.destroyed).length;
  }

  /** How many requests came whose first line is such. */
  count(request: RegExp): number {
    return this.#requests.filter((line) => request.test(line)).length;
  }

  /** `refuse` cuts all connections and takes no new one; `hang` takes them and says nothing. */
  set(mode: "pass" | "refuse" | "hang"): void {
    this.#mode = mode;
    if (mode === "refuse") for (const socket of this.#sockets) socket.destroy();
  }

  /** The answer to the next request whose first line is such does not go on after its head, and does not end. */
  leaveUnfinished(request: RegExp): void {
    this.#unfinished = request;
  }

  /** Of the answer to the next request whose first line is such, what comes after so many bytes is lost on the way. */
  shorten(request: RegExp, bytes: number): void {
    this.#shortened = { request, bytes };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.path, { force: true });
  }

  #accept(client: Socket): void {
    this.#sockets.add(client);
    client.on("error", () => {});
    client.on("close", () => this.#sockets.delete(client));
    if (this.#mode === "refuse") client.destroy();
    if (this.#mode !== "pass") return;
    const server = connect({ path: this.#target, allowHalfOpen: true });
    server.on("error", () => {});
    client.pipe(server);
    let isHeld = false;
    client.on("close", () => server.destroy());
    server.on("close", () => {
      if (!isHeld) client.destroy();
    });
    client.once("data", (request) => {
      this.#requests.push(request.toString("latin1").split("\r\n", 1)[0] ?? "");
      isHeld = this.#unfinished?.test(request.toString("latin1")) === true;
      if (this.#shortened?.request.test(request.toString("latin1")) === true) {
        passSome(server, client, this.#shortened.bytes);
        this.#shortened = null;
        return;
      }
      if (!isHeld) {
        server.pipe(client);
        return;
      }
      this.#unfinished = null;
      server.once("data", (answer) => client.write(headOf(answer)));
    });
  }
}

function passSome(from: Socket, to: Socket, bytes: number): void {
  let left = bytes;
  from.on("data", (chunk) => {
    to.write(chunk.subarray(0, left));
    left = Math.max(0, left - chunk.length);
  });
  from.on("end", () => to.end());
}

function headOf(answer: Buffer): Buffer {
  return answer.subarray(0, answer.indexOf("\r\n\r\n") + 4);
}
