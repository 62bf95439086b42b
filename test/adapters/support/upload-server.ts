import { createServer, type Socket } from "node:net";

/** What an {@link UploadServer} does with a connection whose request has been read. */
export type Behaviour = (socket: Socket, head: string) => void;

/** A server that says exactly what it is told to, on a loopback address of its own; it keeps what it was asked. */
export interface UploadServer extends AsyncDisposable {
  readonly port: number;
  /** The heads of the requests, in order. */
  readonly heads: readonly string[];
  /** Connections that were taken, and those that are still open. */
  readonly taken: () => number;
  readonly open: () => number;
}

export async function startUploadServer(
  host: string,
  behave: Behaviour,
  wantedPort = 0,
): Promise<UploadServer> {
  const sockets = new Set<Socket>();
  const heads: string[] = [];
  let taken = 0;
  const server = createServer((socket) => {
    taken += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      if (text.includes("\r\n\r\n")) return;
      text += chunk.toString("latin1");
      // A handshake of TLS is answered as a server does that speaks none.
      if (!text.includes("\r\n\r\n") && !text.startsWith("\u0016")) return;
      heads.push(text);
      behave(socket, text);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(wantedPort, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    heads,
    taken: () => taken,
    open: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

/** Answers with a status, header fields and a body, and ends the connection. */
export function answering(
  status: number,
  fields: readonly string[],
  body: string | Uint8Array = "",
): Behaviour {
  return (socket) => {
    socket.write([`HTTP/1.1 ${String(status)} X`, ...fields, "connection: close", "", ""].join("\r\n"));
    socket.end(body);
  };
}

export function redirecting(location: string, status = 302): Behaviour {
  return answering(status, [`location: ${location}`, "content-length: 0"]);
}

/** Answers with the body, its length said. */
export function serving(body: string | Uint8Array): Behaviour {
  return answering(200, [`content-length: ${String(Buffer.byteLength(body))}`], body);
}
