import {
  type Agent as HttpAgent,
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
} from "node:http";
import { type Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Call } from "./call.js";
import { UploadBody } from "./upload-body.js";

/** Connections to the servers. */
export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  /** Authorities that the second trusts, for connections beside it. */
  readonly ca: string | undefined;
}

/** Why a server gave no answer. */
export class NoAnswer extends Error {
  /** Nothing of the call has reached the server. */
  readonly isUnsent: boolean;
  /** The connection was one of an earlier call, and broke. */
  readonly wasKept: boolean;

  constructor(reason: string, { isUnsent, wasKept = false }: { isUnsent: boolean; wasKept?: boolean }) {
    super(reason);
    this.isUnsent = isUnsent;
    this.wasKept = wasKept;
  }
}

export interface SendOptions {
  readonly url: URL;
  readonly token: string;
  readonly agents: Agents;
  readonly connectMs: number;
  /** By a connection of its own: for what cannot be sent twice, where one that was kept may be closing. */
  readonly isFresh: boolean;
  /** Cuts all of it, also an answer that is being read. */
  readonly signal: AbortSignal;
}

/** Sends a call to one server and resolves with the head of its answer. Rejects with {@link NoAnswer}. */
export function sendCall(call: Call, options: SendOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = begin(call, options);
    let isConnected = false;
    let hasAnswer = false;
    const fail = (reason: string, wasKept = false): void => {
      clearTimeout(timer);
      // A server may answer before it has read all, and close.
      if (hasAnswer) return;
      reject(new NoAnswer(reason, { isUnsent: !isConnected, wasKept }));
      asked.destroy();
    };
    let timer = setTimeout(() => {
      fail(`no connection within ${String(options.connectMs)} ms`);
    }, options.connectMs);
    whenConnected(asked, options.url.protocol, () => {
      isConnected = true;
      clearTimeout(timer);
      sendBody(asked, call);
    });
    asked.on("finish", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        fail(`no answer within ${String(call.answerMs)} ms`);
      }, call.answerMs);
    });
    asked.on("response", (answer) => {
      hasAnswer = true;
      clearTimeout(timer);
      // A connection that breaks is told by `close`, too; unheard, the error would end the process.
      answer.on("error", () => undefined);
      resolve(answer);
    });
    asked.on("error", (error: NodeJS.ErrnoException) => {
      fail(error.code ?? error.message, asked.reusedSocket);
    });
  });
}

function begin(call: Call, { url, token, agents, signal, isFresh }: SendOptions): ClientRequest {
  const { method, body } = call;
  const length = Buffer.isBuffer(body) ? { "content-length": String(body.byteLength) } : {};
  // Or else a server that answers before it has read all would close, and its answer might be lost.
  const headers = { ...call.headers, ...length, connection: "keep-alive", authorization: `Bearer ${token}` };
  const options = { method, signal, headers };
  if (url.protocol === "http:") return httpRequest(url, { ...options, agent: isFresh ? false : agents.http });
  const trust = agents.ca === undefined ? {} : { ca: agents.ca };
  return httpsRequest(url, { ...options, ...trust, agent: isFresh ? false : agents.https });
}

function whenConnected(asked: ClientRequest, protocol: string, then: () => void): void {
  asked.once("socket", (socket) => {
    if (!socket.connecting) then();
    else socket.once(protocol === "https:" ? "secureConnect" : "connect", then);
  });
}

function sendBody(asked: ClientRequest, { body }: Call): void {
  if (body instanceof UploadBody) body.sendTo(asked);
  else asked.end(body ?? undefined);
}
