import { Agent as HttpAgent, request as httpRequest, type ClientRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { pipeline } from "node:stream";
import { DinpError, messageOf, type Logger } from "@dinp/core";
import { statusByCode } from "./codes.js";
import { errorBody } from "./errors.js";
import { answererOf, FORWARDED_FIELD, type HttpApiPeers } from "./peers.js";

/** RFC 9110 section 7.6.1: they are of one connection, and not of the message. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "host",
]);

const CONNECT_MS = 5_000;
/** Streams have a sign of life every 10 s. */
const SILENCE_MS = 60_000;
const SOCKETS_MAX = 256;
/** How often it is looked whether another server leads than the one that was asked. */
const LEADER_CHECK_MS = 500;
/** How long a request that was refused may go on being sent. */
const LINGER_MS = 5_000;

/** Who is to answer a request. */
interface Answering {
  readonly url: URL;
  /** As it was told: without a path. */
  readonly server: string;
  readonly does: "builds" | "leads";
  /** A build may be quiet for as long as it takes; it is bounded where it runs. */
  readonly mayBeQuiet: boolean;
}

/** Passes requests on to the process of the cluster that can answer them. */
export class Forwarding {
  readonly #peers: HttpApiPeers;
  readonly #logger: Logger;
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent };

  constructor(peers: HttpApiPeers, logger: Logger) {
    this.#peers = peers;
    this.#logger = logger;
    const common = { keepAlive: true, maxSockets: SOCKETS_MAX, timeout: SILENCE_MS };
    const ca = peers.ca === undefined ? {} : { ca: peers.ca };
    this.#agents = { http: new HttpAgent(common), https: new HttpsAgent({ ...common, ...ca }) };
  }

  /** True when the request was passed on, or refused because it cannot be; false: it is to be answered here. */
  take(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    const { method = "GET", url = "/" } = incoming;
    const answerer = answererOf(method, url.split("?", 1)[0] ?? url);
    if (answerer === "anyone") return false;
    const { builderUrl, leads, leaderUrl } = this.#peers;
    const isForBuilder = answerer === "builder" && builderUrl !== undefined;
    if (!isForBuilder && leads()) return false;
    const to = isForBuilder ? builderUrl : leaderUrl();
    const wasForwarded = incoming.headers[FORWARDED_FIELD] !== undefined;
    if (to === null || wasForwarded) refuse(incoming, outgoing, nobodyLeads());
    else {
      const mayBeQuiet = answerer === "builder";
      const does = isForBuilder ? "builds" : "leads";
      this.#forward(incoming, outgoing, { url: new URL(url, to), server: to, does, mayBeQuiet });
    }
    return true;
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse, to: Answering): void {
    const request = this.#request(incoming, to.url);
    const stopChecking = to.does === "leads" ? this.#giveUpWithLeader(request, to.server) : () => undefined;
    const connecting = setTimeout(() => {
      request.destroy(new Error(`no connection within ${String(CONNECT_MS)} ms`));
    }, CONNECT_MS);
    let wasConnected = false;
    request.once("socket", (socket) => {
      const onConnect = (): void => {
        clearTimeout(connecting);
        wasConnected = true;
      };
      if (socket.connecting)
        socket.once(to.url.protocol === "https:" ? "secureConnect" : "connect", onConnect);
      else onConnect();
    });
    // Such as the interim answers of a build that takes long.
    request.on("information", ({ statusCode }) => {
      if (statusCode === 102 && !outgoing.headersSent) outgoing.writeProcessing();
    });
    request.once("timeout", () => {
      if (!to.mayBeQuiet) request.destroy(new Error(`nothing for ${String(SILENCE_MS / 1000)} s`));
    });
    request.once("response", (answer) => {
      stopChecking();
      outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
      pipeline(answer, outgoing, () => {
        // It was answered before it was read to its end.
        if (!request.writableFinished) request.destroy();
      });
    });
    request.once("error", (error) => {
      letRunOut(incoming, request);
      clearTimeout(connecting);
      stopChecking();
      if (outgoing.destroyed || outgoing.writableEnded) return;
      this.#logger.warn("a request could not be passed on", { to: to.url.origin, error: messageOf(error) });
      if (outgoing.headersSent) outgoing.destroy();
      else refuse(incoming, outgoing, unanswered(incoming, to, wasConnected, error));
    });
    request.once("close", () => {
      letRunOut(incoming, request);
    });
    outgoing.once("close", () => {
      clearTimeout(connecting);
      stopChecking();
      if (!outgoing.writableFinished) request.destroy();
    });
    // Not `pipeline`: it would end the client's connection with the request's, and the answer would not get there.
    incoming.pipe(request);
  }

  /** A leader that stands still takes connections, and answers nothing: once another one leads, it is not waited for. */
  #giveUpWithLeader(request: ClientRequest, asked: string): () => void {
    const timer = setInterval(() => {
      const { leads, leaderUrl } = this.#peers;
      const present = leaderUrl();
      if (leads() || (present !== null && present !== asked)) {
        clearInterval(timer);
        request.destroy(new Error("another server leads by now"));
      }
    }, LEADER_CHECK_MS);
    return () => {
      clearInterval(timer);
    };
  }

  #request({ method = "GET", headers }: IncomingMessage, to: URL): ClientRequest {
    const options = { method, headers: { ...endToEnd(headers), [FORWARDED_FIELD]: "1" } };
    return to.protocol === "https:"
      ? httpsRequest(to, { ...options, agent: this.#agents.https })
      : httpRequest(to, { ...options, agent: this.#agents.http });
  }
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = new Set((headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name) && !named.has(name)),
  );
}

function nobodyLeads(): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "No server leads at the moment.", {
    retryable: true,
    hint: "Another one takes over within seconds: try again. What runs goes on running.",
  });
}

function unanswered(
  { method = "GET" }: IncomingMessage,
  { url, does }: Answering,
  wasConnected: boolean,
  error: Error,
): DinpError {
  const mayBeDone = wasConnected && method !== "GET" && method !== "HEAD";
  const who = `The server that ${does}, ${url.origin},`;
  return new DinpError(
    mayBeDone ? "DINP_COMMIT_UNKNOWN" : "DINP_UNAVAILABLE",
    `${who} did not answer: ${messageOf(error)}.`,
    {
      retryable: true,
      cause: error,
      hint: mayBeDone
        ? "It may have been done or not: see how things stand before you ask for it again."
        : "Nothing was done: try again in a few seconds.",
    },
  );
}

/** What nobody takes any more is read and dropped, so that the client comes to read its answer. */
function letRunOut(incoming: IncomingMessage, request: ClientRequest): void {
  incoming.unpipe(request);
  incoming.resume();
}

/**
 * What is still on its way is read and dropped for a while: were the connection closed at once, the client could be told of that
 * before it has read the answer, and would have none.
 */
function refuse(incoming: IncomingMessage, outgoing: ServerResponse, error: DinpError): void {
  const body = JSON.stringify(errorBody(error));
  outgoing.writeHead(statusByCode[error.code], {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "retry-after": "1",
    connection: "close",
  });
  if (incoming.method === "HEAD") outgoing.flushHeaders();
  else outgoing.write(body);
  incoming.unpipe();
  incoming.resume();
  const end = (): void => {
    clearTimeout(timer);
    outgoing.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  if (incoming.readableEnded || incoming.destroyed) end();
  else incoming.once("end", end).once("close", end);
}
