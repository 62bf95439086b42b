import type { Socket } from "node:net";
import { DinpError, messageOf } from "@dinp/core";
import { WebSocket } from "ws";
import { DEFAULT_FRAME_BYTES_MAX, PROTOCOL } from "./limits.js";
import type { WebSocketLinkClientOptions } from "./options.js";
import { readRefusal, type Refusal } from "./refusals.js";
import { serverNameOf } from "./server-list.js";

/** A socket that is open, or what the server said instead. */
export type Dialled =
  | { readonly webSocket: WebSocket; readonly bytesRead: () => number; readonly refusal: null }
  | { readonly refusal: Refusal };

/** Asks one server for a link. `DINP_UNAVAILABLE` when it cannot be reached in time, `DINP_ABORTED`. */
export function dial(
  url: URL,
  headers: Readonly<Record<string, string>>,
  options: WebSocketLinkClientOptions,
  signal: AbortSignal,
): Promise<Dialled> {
  const { ca, serverName, connectMs = 15_000, frameBytesMax = DEFAULT_FRAME_BYTES_MAX } = options;
  const name = serverName ?? serverNameOf(url);
  return new Promise((resolve, reject) => {
    const webSocket = new WebSocket(url.href.replace(/^http/, "ws"), [PROTOCOL], {
      headers,
      perMessageDeflate: false,
      followRedirects: false,
      handshakeTimeout: connectMs,
      maxPayload: frameBytesMax,
      ...(ca === undefined ? {} : { ca }),
      ...(name === undefined || url.protocol !== "https:" ? {} : { servername: name }),
    });
    let socket: Socket | null = null;
    const abort = (): void => {
      webSocket.terminate();
    };
    const done = (): void => {
      signal.removeEventListener("abort", abort);
    };
    signal.addEventListener("abort", abort, { once: true });
    webSocket.once("upgrade", (response) => {
      socket = response.socket;
    });
    webSocket.once("open", () => {
      done();
      resolve({ webSocket, bytesRead: () => socket?.bytesRead ?? 0, refusal: null });
    });
    webSocket.once("unexpected-response", (request, response) => {
      void readRefusal(response).then((refusal) => {
        done();
        request.destroy();
        resolve({ refusal });
      });
    });
    webSocket.on("error", (error) => {
      done();
      reject(unreachable(url, error, signal));
    });
    if (signal.aborted) abort();
  });
}

function unreachable({ origin }: URL, error: unknown, signal: AbortSignal): DinpError {
  if (signal.aborted)
    return new DinpError("DINP_ABORTED", "The connection to the server was given up.", { cause: error });
  return new DinpError("DINP_UNAVAILABLE", `${origin} cannot be reached: ${messageOf(error)}`, {
    retryable: true,
    cause: error,
    ...(isUntrusted(error) ? { hint: UNTRUSTED_HINT } : {}),
  });
}

const UNTRUSTED_HINT =
  "Nobody that is trusted has signed its certificate: give the agent the file of the servers' authority (agent.caFile).";

function isUntrusted(error: unknown): boolean {
  return error instanceof Error && "code" in error && UNTRUSTED_CODES.has(error.code);
}

const UNTRUSTED_CODES: ReadonlySet<unknown> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
