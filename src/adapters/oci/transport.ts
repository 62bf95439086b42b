import { createSecureContext, rootCertificates } from "node:tls";
import { DinpError } from "@dinp/core";
import { Agent, request, type Dispatcher } from "undici";
import { aborted, networkError, throwIfAborted, unavailable } from "./errors.js";
import type { OciSettings } from "./options.js";

const REDIRECTS_MAX = 5;
const REDIRECT_STATUS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const DISCARDED_BYTES_MAX = 64 * 1024;

export interface Outgoing {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Not sent to another origin that `url` is redirected to. */
  readonly authorization?: string | null;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * HTTP over connections of its own (undici, since Node's own `fetch` takes no certificate authority and no bounds):
 * bounded waits, redirects of reads, errors of the port. Nothing is retried here.
 */
export class Transport {
  readonly #settings: OciSettings;
  #agent: Agent | null = null;
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
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#agent?.destroy();
  }

  async #sendOnce({ method, url, headers, authorization, body, signal }: Outgoing): Promise<Answer> {
    throwIfAborted(signal);
    if (this.#isClosed) throw closed();
    const fail = (error: unknown): DinpError => {
      if (signal?.aborted === true) return aborted();
      return this.#isClosed ? closed() : networkError(url.host, error);
    };
    try {
      const response = await request(url, {
        dispatcher: this.#connections(),
        method,
        headers: {
          "user-agent": "dinp",
          ...headers,
          ...(authorization == null ? {} : { authorization }),
        },
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
      });
      return new Answer(url, response, fail);
    } catch (error) {
      throw fail(error);
    }
  }

  #connections(): Agent {
    const { ca, limits } = this.#settings;
    this.#agent ??= new Agent({
      headersTimeout: limits.responseMs,
      bodyTimeout: limits.idleMs,
      connect: {
        timeout: limits.connectMs,
        // One context: the well-known authorities are many to read for each connection.
        ...(ca === null ? {} : { secureContext: createSecureContext({ ca: [...rootCertificates, ca] }) }),
      },
    });
    return this.#agent;
  }
}

/** The head of an answer, and its body once. Every answer is read to its end, or discarded. */
export class Answer {
  /** Where it came from, after redirects. */
  readonly url: URL;
  readonly status: number;
  readonly #response: Dispatcher.ResponseData;
  readonly #fail: (error: unknown) => DinpError;

  constructor(url: URL, response: Dispatcher.ResponseData, fail: (error: unknown) => DinpError) {
    this.url = url;
    this.status = response.statusCode;
    this.#response = response;
    this.#fail = fail;
  }

  /** A header field's value, several of one name joined by commas; null without one. */
  header(name: string): string | null {
    const value = this.#response.headers[name];
    if (value === undefined) return null;
    return typeof value === "string" ? value : value.join(", ");
  }

  /** The body's pieces. Leaving early ends the connection. */
  async *stream(): AsyncGenerator<Uint8Array, void, undefined> {
    const chunks: AsyncIterable<Uint8Array> = this.#response.body;
    try {
      for await (const chunk of chunks) yield chunk;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** The whole body; null when it has more than `bytesMax`. */
  async bytes(bytesMax: number): Promise<Uint8Array | null> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.stream()) {
      size += chunk.length;
      if (size > bytesMax) return null;
      chunks.push(chunk);
    }
    return new Uint8Array(Buffer.concat(chunks));
  }

  /** Takes the rest of the body off the connection, or ends the connection when that is much. Never rejects. */
  async discard(): Promise<void> {
    await this.#response.body.dump({ limit: DISCARDED_BYTES_MAX }).catch(() => undefined);
  }
}

function closed(): DinpError {
  return new DinpError("DINP_CLOSED", "The registry client was closed.");
}
