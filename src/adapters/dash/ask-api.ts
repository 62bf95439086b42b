import { Agent as HttpAgent, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { DinpError } from "@dinp/core";
import type { Call } from "./call.js";
import { type Agents, NoAnswer, sendCall, type SendOptions } from "./send-call.js";
import { type Servers, urlAt } from "./servers.js";
import { UploadBody } from "./upload-body.js";

export interface ApiAskerOptions {
  readonly servers: Servers;
  readonly ca?: string | undefined;
  readonly connectMs: number;
}

const REDIRECTS_MAX = 3;
const CONNECTIONS_PER_SERVER_MAX = 256;
const IDLE_CONNECTIONS_MAX = 16;

/** Asks the servers of the API in turn, and goes where a follower sends a call. */
export class ApiAsker {
  readonly #servers: Servers;
  readonly #connectMs: number;
  readonly #agents: Agents;

  constructor({ servers, ca, connectMs }: ApiAskerOptions) {
    this.#servers = servers;
    this.#connectMs = connectMs;
    const pool = {
      keepAlive: true,
      maxSockets: CONNECTIONS_PER_SERVER_MAX,
      maxFreeSockets: IDLE_CONNECTIONS_MAX,
    };
    this.#agents = {
      http: new HttpAgent(pool),
      https: new HttpsAgent({ ...pool, ...(ca === undefined ? {} : { ca }) }),
      ca,
    };
  }

  /**
   * The head of the answer that a server gave; its body is still to come. `DINP_UNAVAILABLE`: no server can be reached, or
   * the call cannot be sent to the one that leads; `DINP_COMMIT_UNKNOWN`: it may have been done.
   */
  async ask(call: Call, token: string, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#askInTurn(call, token, signal);
    } finally {
      if (call.body instanceof UploadBody) call.body.discard();
    }
  }

  async #askInTurn(call: Call, token: string, signal: AbortSignal): Promise<IncomingMessage> {
    const troubles: string[] = [];
    for (const base of this.#servers.inTurn()) {
      try {
        return await this.#askAt(base, call, token, signal);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (!error.isUnsent && !call.isRepeatable) throw unknownEnd(error);
        troubles.push(`${base.host}: ${error.message}`);
      }
    }
    throw unreachable(troubles);
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  async #askAt(base: URL, call: Call, token: string, signal: AbortSignal): Promise<IncomingMessage> {
    let at = base;
    let url = urlAt(base, call.target);
    for (let redirects = 0; ; redirects += 1) {
      const answer = await this.#send(call, { url, token, signal });
      const next = redirectOf(answer, url);
      if (next === null) {
        this.#servers.prefer(at);
        return answer;
      }
      if (call.body instanceof UploadBody) call.body.hold();
      answer.destroy();
      at = baseIn(next, call.target);
      this.#servers.prefer(at);
      if (redirects >= REDIRECTS_MAX)
        throw new NoAnswer("the servers send the call on to each other", { isUnsent: true });
      if (call.body instanceof UploadBody && !call.body.canBeSentAgain) throw movedOn();
      url = next;
    }
  }

  /** A connection that was kept may just have been closed by the server: then on a new one. */
  async #send(call: Call, to: Pick<SendOptions, "url" | "token" | "signal">): Promise<IncomingMessage> {
    const options = { ...to, agents: this.#agents, connectMs: this.#connectMs };
    try {
      return await sendCall(call, { ...options, isFresh: !call.isRepeatable });
    } catch (error) {
      if (!(error instanceof NoAnswer && error.wasKept)) throw error;
      return sendCall(call, { ...options, isFresh: true });
    }
  }
}

/** Where 307 and 308 (RFC 9110 sections 15.4.8 and 15.4.9) send a call; never from https to http. */
function redirectOf(answer: IncomingMessage, from: URL): URL | null {
  const { statusCode, headers } = answer;
  if ((statusCode !== 307 && statusCode !== 308) || headers.location === undefined) return null;
  const next = URL.canParse(headers.location, from.href) ? new URL(headers.location, from) : null;
  if (next?.protocol === "https:" || (next?.protocol === "http:" && from.protocol === "http:")) return next;
  answer.destroy();
  throw new NoAnswer("it sends the call to where it would not be secret", { isUnsent: true });
}

/** The server's URL in that of a call. */
function baseIn(url: URL, target: string): URL {
  const whole = url.pathname + url.search;
  return new URL(whole.endsWith(target) ? whole.slice(0, -target.length) || "/" : "/", url.origin);
}

function movedOn(): DinpError {
  return new DinpError(
    "DINP_UNAVAILABLE",
    "Another server leads by now, and the upload had begun at this one.",
    {
      retryable: true,
      hint: "Upload it again: it goes to that server at once.",
    },
  );
}

function unknownEnd({ message }: NoAnswer): DinpError {
  return new DinpError(
    "DINP_COMMIT_UNKNOWN",
    `The platform's API did not answer (${message}); it may have been done.`,
    {
      hint: "Look whether it was done before you do it again.",
    },
  );
}

function unreachable(troubles: readonly string[]): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `The platform's API does not answer (${troubles.join("; ")}).`, {
    retryable: true,
    hint: "Apps go on running meanwhile. Try again in a moment; if it stays so, look at the platform's servers.",
  });
}
