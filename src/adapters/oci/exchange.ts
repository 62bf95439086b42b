import { request as requestPlain, type Agent, type ClientRequest, type IncomingMessage } from "node:http";
import { request as requestTls } from "node:https";
import { Deadline } from "./deadline.js";

/** The body of a request: whole, or a stream that is sent as it comes (`Transfer-Encoding: chunked`). */
export type RequestBody = Uint8Array | string | AsyncIterable<Uint8Array>;

export interface ExchangeOptions {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: RequestBody | undefined;
  readonly agent: Agent;
  readonly signal: AbortSignal | undefined;
  /** For a connection, TLS included. */
  readonly connectMs: number;
  /** For the server to take more of a body, and to answer once it has all of it. */
  readonly responseMs: number;
}

/** A request, and the head of its answer, which may have come before the request's end. */
export interface Exchange {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
}

/**
 * Sends a request over Node's own HTTP, and resolves with the head of the answer: no more of the body is sent from then on.
 * Rejects as the network, TLS, HTTP or the body's stream do, and with `LateError`; waits for that stream are its own to bound.
 */
export async function exchange(options: ExchangeOptions): Promise<Exchange> {
  const { url, method, headers, body, agent, signal, connectMs, responseMs } = options;
  const isTls = url.protocol === "https:";
  const send = isTls ? requestTls : requestPlain;
  const request = send(url, { method, headers, agent, ...(signal === undefined ? {} : { signal }) });
  const deadline = new Deadline((error) => request.destroy(error));
  deadline.start(connectMs, "CONNECT_TIMEOUT");
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      // Stays: after the answer's head, its reader hears of what fails.
      request.on("error", reject);
      request.once("socket", (socket) => {
        const begin = (): void => {
          deadline.start(responseMs, "RESPONSE_TIMEOUT");
          if (isStream(body)) void sendStream(request, body, deadline, responseMs);
        };
        if (request.reusedSocket) begin();
        else socket.once(isTls ? "secureConnect" : "connect", begin);
      });
      if (!isStream(body)) request.end(body);
    });
    response.on("error", () => undefined);
    return { request, response };
  } finally {
    deadline.end();
  }
}

/** Whether a body can be sent only once. */
export function isStream(body: RequestBody | undefined): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && Symbol.asyncIterator in body;
}

/** Sends a body as fast as the server takes it. Never rejects: what fails ends the request. */
async function sendStream(
  request: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  deadline: Deadline,
  responseMs: number,
): Promise<void> {
  try {
    deadline.stop();
    for await (const piece of body) {
      if (request.destroyed || deadline.hasEnded) return;
      if (request.write(piece)) continue;
      deadline.start(responseMs, "RESPONSE_TIMEOUT");
      await drained(request);
      deadline.stop();
    }
    if (request.destroyed || deadline.hasEnded) return;
    deadline.start(responseMs, "RESPONSE_TIMEOUT");
    request.end();
  } catch (error) {
    request.destroy(error instanceof Error ? error : new Error(String(error), { cause: error }));
  }
}

function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      request.off("drain", done);
      request.off("close", done);
      resolve();
    };
    request.on("drain", done);
    request.on("close", done);
    if (request.destroyed) done();
  });
}
