import { Agent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { createSecureContext, rootCertificates } from "node:tls";
import { DinpError } from "@dinp/core";
import { Answer } from "./answer.js";
import { aborted, networkError, throwIfAborted, unavailable } from "./errors.js";
import { exchange, type RequestBody } from "./exchange.js";
import type { OciSettings } from "./options.js";

const REDIRECTS_MAX = 5;
const REDIRECT_STATUS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Servers close connections that nobody uses after some five seconds at the least. */
const UNUSED_MS = 4_000;

type Agents = Readonly<Record<"http:" | "https:", Agent>>;

export interface Outgoing {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Not sent to another origin that `url` is redirected to. */
  readonly authorization?: string | null;
  /** A stream is sent as it comes, once. */
  readonly body?: RequestBody;
  readonly signal?: AbortSignal | undefined;
}

/**
 * HTTP over connections of its own: bounded waits, redirects of reads, errors of the port. Nothing is retried here.
 */
export class Transport {
  readonly #settings: OciSettings;
  #agents: Agents | null = null;
  #isClosed = false;

  constructor(settings: OciSettings) {
    this.#settings = settings;
  }

  /** One request and, for a read, what it is redirected to. `DINP_UNAVAILABLE`, `DINP_ABORTED`, `DINP_CLOSED`. */
  async send(outgoing: Outgoing): Promise<Answer> {
    const isRead = outgoing.method === "GET" || outgoing.method === "HEAD";
    let url = outgoing.url;
    for (let redirects = 0; ; redirects += 1) {
      const authorization = url.origin === outgoing.url.origin ? outgoing.authorization : null;
      const answer = await this.#sendOnce({ ...outgoing, url, authorization: authorization ?? null });
      const location = answer.header("location");
      if (!isRead || !REDIRECT_STATUS.has(answer.status) || location === null) return answer;
      await answer.discard();
      if (redirects === REDIRECTS_MAX) throw unavailable(`The registry ${url.host} redirects without end.`);
      url = this.resolveLocation(location, url);
    }
  }

  /** The URL that a server names. `DINP_UNAVAILABLE` when it is none, or leaves encryption behind. */
  resolveLocation(location: string, base?: URL): URL {
    const from = base === undefined ? "" : ` ${base.host}`;
    if (!URL.canParse(location, base?.href)) {
      throw unavailable(`The registry${from} sends its clients to a place that is no URL.`);
    }
    const url = new URL(location, base);
    if (url.protocol !== "https:" && !(url.protocol === "http:" && this.#settings.plainHttp)) {
      const place = `${url.protocol}//${url.host}`;
      throw unavailable(`The registry${from} sends its clients to ${place}, without encryption.`, {
        hint: "Tell the registry its own https address (or have the proxy before it send X-Forwarded-Proto).",
      });
    }
    url.username = "";
    url.password = "";
    return url;
  }

  /** Ends every request and connection. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const agent of Object.values(this.#agents ?? {})) agent.destroy();
  }

  async #sendOnce({ method, url, headers, authorization, body, signal }: Outgoing): Promise<Answer> {
    throwIfAborted(signal);
    if (this.#isClosed) throw closed();
    const fail = (error: unknown): DinpError => {
      if (signal?.aborted === true) return aborted();
      return this.#isClosed ? closed() : networkError(url.host, error);
    };
    try {
      const { connectMs, responseMs, idleMs } = this.#settings.limits;
      const exchanged = await exchange({
        ...{ method, url, body, signal, connectMs, responseMs },
        agent: this.#connections(url),
        headers: {
          "user-agent": "dinp",
          ...headers,
          ...(authorization == null ? {} : { authorization }),
        },
      });
      return new Answer(url, exchanged, idleMs, fail);
    } catch (error) {
      throw fail(error);
    }
  }

  #connections({ protocol }: URL): Agent {
    this.#agents ??= makeAgents(this.#settings.ca);
    return this.#agents[protocol === "http:" ? "http:" : "https:"];
  }
}

function makeAgents(ca: string | null): Agents {
  const options = { keepAlive: true, timeout: UNUSED_MS };
  // One context: the well-known authorities are many to read for each connection.
  const trust = ca === null ? {} : { secureContext: createSecureContext({ ca: [...rootCertificates, ca] }) };
  return { "http:": new Agent(options), "https:": new TlsAgent({ ...options, ...trust }) };
}

function closed(): DinpError {
  return new DinpError("DINP_CLOSED", "The registry client was closed.");
}
