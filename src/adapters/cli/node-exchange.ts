import type { ClientRequest, RequestOptions } from "node:http";
import { pipeline } from "node:stream/promises";
import type { ApiAnswer, ApiRequest, Exchange } from "@dinp/core/client";

/** A connection that was idle for longer may be about to be closed at its other end. */
const IDLE_MS = 2_000;

export interface NodeExchangeOptions {
  /** Bound of making a connection. Default 10,000. */
  readonly connectMs?: number;
  /** Bound of a request's silence, during which nothing at all comes or goes. Default 300,000: the API shows much more often that it is still there. */
  readonly silenceMs?: number;
}

/** Begins a request of one scheme. */
type Begin = (url: URL, options: RequestOptions) => ClientRequest;

/**
 * An `Exchange` by Node's own HTTP client, which is loaded in a fraction of the time of `fetch`. Connections are kept for the
 * next requests, and keep no process from ending. It rejects with what connections fail with; with the code `ETIMEDOUT` when
 * none was made in time.
 */
export function createNodeExchange({
  connectMs = 10_000,
  silenceMs = 300_000,
}: NodeExchangeOptions = {}): Exchange {
  const schemes = new Map<string, Promise<Begin>>();
  return async (request) => {
    const { method, url, headers, signal } = request;
    const { protocol } = url;
    const begin = schemes.get(protocol) ?? beginBy(protocol);
    schemes.set(protocol, begin);
    const outgoing = (await begin)(url, { method, headers, signal, timeout: connectMs });
    boundSilence(outgoing, silenceMs);
    return await exchange(outgoing, request);
  };
}

/** Loads what the scheme needs. */
async function beginBy(protocol: string): Promise<Begin> {
  const options = { keepAlive: true, timeout: IDLE_MS };
  if (protocol === "https:") {
    const https = await import("node:https");
    const agent = new https.Agent(options);
    return (url, more) => https.request(url, { ...more, agent });
  }
  const http = await import("node:http");
  const agent = new http.Agent(options);
  return (url, more) => http.request(url, { ...more, agent });
}

function exchange(outgoing: ClientRequest, { body }: ApiRequest): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    outgoing.on("error", reject);
    // A request that was given up before it had a connection fails with nothing.
    outgoing.once("close", () => {
      reject(new Error("the request was broken off"));
    });
    outgoing.once("response", (answer) => {
      resolve({ status: answer.statusCode ?? 0, bytes: answer });
    });
    if (body === null || typeof body === "string") outgoing.end(body ?? undefined);
    // What sending fails with ends the request, and is told by it.
    else pipeline(body, outgoing).catch(() => undefined);
  });
}

/** Ends a request whose connection is not made in the time that it began with, or silent for too long afterwards. */
function boundSilence(outgoing: ClientRequest, silenceMs: number): void {
  let isConnected = false;
  const onConnected = (): void => {
    isConnected = true;
    outgoing.setTimeout(silenceMs);
  };
  outgoing.once("socket", (socket) => {
    if (socket.connecting) socket.once("encrypted" in socket ? "secureConnect" : "connect", onConnected);
    else onConnected();
  });
  outgoing.once("timeout", () => {
    const late = Object.assign(new Error("no connection in time"), { code: "ETIMEDOUT" });
    outgoing.destroy(isConnected ? new Error(`nothing came or went for ${String(silenceMs)} ms`) : late);
  });
}
