import { STATUS_CODES, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { DinpError } from "@dinp/core";
import { errorBody } from "./errors.js";

/** What is said of a request that is no HTTP, or more of it than is taken, by Node's code for that. */
const known: ReadonlyMap<string, { readonly status: number; readonly error: DinpError }> = new Map([
  [
    "HPE_HEADER_OVERFLOW",
    {
      status: 431,
      error: new DinpError(
        "DINP_TOO_LARGE",
        "The request's head (its URL and header fields) is larger than 16 KiB.",
        {
          hint: "Send a shorter URL, token or header.",
        },
      ),
    },
  ],
  [
    "ERR_HTTP_REQUEST_TIMEOUT",
    {
      status: 408,
      error: new DinpError("DINP_TIMEOUT", "The request's head did not arrive in time.", {
        hint: "Send it again.",
      }),
    },
  ],
]);

const bad = {
  status: 400,
  error: new DinpError("DINP_INVALID", "This is not a request of HTTP/1.1.", {
    hint: "See RFC 9112; the API's URL begins with http://.",
  }),
};

type UnreadableError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

/**
 * Answers what never became a request as requests are refused, in JSON, and ends its connection. While an answer to an
 * earlier request of the connection is due, it only ends it: its client would take this one for that.
 */
export function watchForUnreadable(server: Server): void {
  const due = new WeakMap<Duplex, number>();
  const count = (socket: Duplex, by: number): void => {
    due.set(socket, (due.get(socket) ?? 0) + by);
  };
  server.on("request", ({ socket }, outgoing) => {
    count(socket, 1);
    outgoing.once("close", () => {
      count(socket, -1);
    });
  });
  server.on("clientError", (error: UnreadableError, socket) => {
    const isDue = (due.get(socket) ?? 0) > 0;
    if (isDue || error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else refuse(error, socket);
  });
  // Without a handshake no answer gets there: its connection would wait for one for ever.
  server.on("tlsClientError", (_error: Error, socket: Duplex) => {
    socket.destroy();
  });
}

function refuse(error: UnreadableError, socket: Duplex): void {
  const { status, error: told } = known.get(error.code ?? "") ?? bad;
  const body = JSON.stringify(errorBody(told));
  const head = [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ""}`,
    "content-type: application/json",
    `content-length: ${String(Buffer.byteLength(body))}`,
    "cache-control: no-store",
    "connection: close",
  ];
  const isHead = error.rawPacket?.subarray(0, 5).toString("latin1") === "HEAD ";
  socket.end(`${head.join("\r\n")}\r\n\r\n${isHead ? "" : body}`);
}
