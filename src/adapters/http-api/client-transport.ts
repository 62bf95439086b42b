import { DinpError, isDinpError } from "@dinp/core";
import { certificateAdvice, errorOf, isObject, reasonOf } from "./client-errors.js";
import { exchangeByFetch, type ApiAnswer, type ApiRequest, type Exchange } from "./exchange.js";
import { lines } from "./ndjson.js";

/** How a client reaches the API. */
export interface ClientOptions {
  /** Where the API answers, such as `http://127.0.0.1:7070`. */
  readonly url: string;
  /** The secret of a token. Without it only `info` answers. */
  readonly token?: string | undefined;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** How requests are sent. Default: by `fetch`. */
  readonly exchange?: Exchange | undefined;
  /** Bound of every call but builds, other uploads and streams. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** A stream that stays silent for this long (the API sends heartbeats) has lost its connection. Default 45,000. */
  readonly idleTimeoutMs?: number | undefined;
}

export interface Call {
  readonly method: ApiRequest["method"];
  /** Path segments, not yet encoded. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly json?: object;
  readonly stream?: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
  /** Answered when something long is done: not bounded in time. */
  readonly isLong?: boolean;
  /** Never sent twice: the API keeps no answer to give again. */
  readonly once?: boolean;
}

const RETRY_DELAYS_MS = [100, 400];

function parseBase(url: string): URL {
  let base: URL | null = null;
  try {
    base = new URL(url);
  } catch {
    // Told below, together with other schemes.
  }
  if (base === null || (base.protocol !== "http:" && base.protocol !== "https:")) {
    throw new DinpError(
      "DINP_INVALID",
      `The API's URL ${JSON.stringify(url.slice(0, 200))} is not an http(s) URL.`,
      {
        hint: "Write it like http://127.0.0.1:7070.",
        details: { field: "url" },
      },
    );
  }
  base.search = "";
  base.hash = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base;
}

/** A token that no header field can hold would be told in the failure of the call, as would be its value. */
function assertToken(token: string | undefined): void {
  if (token === undefined || /^[\x21-\x7e]{1,4096}$/.test(token)) return;
  throw new DinpError(
    "DINP_INVALID",
    "The token is none: tokens are up to 4,096 printable ASCII characters without spaces.",
    {
      hint: "Give it as it was printed.",
      details: { field: "token" },
    },
  );
}

function isOk({ status }: ApiAnswer): boolean {
  return status >= 200 && status < 300;
}

/** The stream; what it fails with is also put into `failures`. */
function noting(
  stream: AsyncIterable<Uint8Array>,
  failures: unknown[],
): AsyncIterable<Uint8Array, void, undefined> {
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = stream[Symbol.asyncIterator]();
      return {
        next: async () => {
          try {
            return await iterator.next();
          } catch (error) {
            failures.push(error);
            throw error;
          }
        },
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

/** `randomUUID` is not there in a page that came over plain http. */
function newKey(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function aborted(): DinpError {
  return new DinpError("DINP_ABORTED", "The call was aborted.");
}

/** Resolves after `ms`, or at once when the signal aborts. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/** Sends calls to one API and turns what comes back into values or a `DinpError`. */
export class ClientTransport {
  readonly #base: URL;
  readonly #token: string | undefined;
  readonly #exchange: Exchange;
  readonly #timeoutMs: number;
  readonly #idleTimeoutMs: number;

  constructor(options: ClientOptions) {
    this.#base = parseBase(options.url);
    assertToken(options.token);
    this.#token = options.token;
    this.#exchange = options.exchange ?? exchangeByFetch(options.fetch ?? globalThis.fetch);
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 45_000;
  }

  /** The answer's JSON value. */
  async json(call: Call): Promise<unknown> {
    const controller = new AbortController();
    const timeoutMs = call.stream === undefined && call.isLong !== true ? this.#timeoutMs : null;
    const timer =
      timeoutMs === null
        ? undefined
        : setTimeout(() => {
            controller.abort();
          }, timeoutMs);
    try {
      const answer = await this.#send(call, controller);
      const body = await this.#body(answer, call, controller);
      if (!isOk(answer)) throw errorOf(body, answer.status, this.#base.href);
      return body;
    } finally {
      clearTimeout(timer);
      // Lets go of an upload that the API did not read to its end.
      controller.abort();
    }
  }

  /** The values of an answer of JSON lines, without heartbeats. Ends without an error when the signal aborts. */
  async *stream(call: Call): AsyncGenerator {
    const controller = new AbortController();
    const idle = (): void => {
      controller.abort();
    };
    let timer = setTimeout(idle, this.#idleTimeoutMs);
    let hasBegun = false;
    try {
      const answer = await this.#send(call, controller);
      if (!isOk(answer)) {
        throw errorOf(await this.#body(answer, call, controller), answer.status, this.#base.href);
      }
      hasBegun = true;
      const alive = (): void => {
        clearTimeout(timer);
        timer = setTimeout(idle, this.#idleTimeoutMs);
      };
      for await (const line of lines(answer.bytes, alive)) {
        const value = this.#parse(line, answer.status);
        if (isObject(value) && value["type"] === "heartbeat") continue;
        if (isObject(value) && "error" in value) throw errorOf(value, answer.status, this.#base.href);
        // A reader that takes its time is not a silent API.
        clearTimeout(timer);
        yield value;
        alive();
      }
    } catch (error) {
      if (isAborted(call.signal)) return;
      throw isDinpError(error) ? error : this.#lost(error, controller.signal.aborted, hasBegun);
    } finally {
      clearTimeout(timer);
      controller.abort();
    }
  }

  async #body(answer: ApiAnswer, call: Call, controller: AbortController): Promise<unknown> {
    let text = "";
    try {
      const decoder = new TextDecoder();
      for await (const chunk of answer.bytes) text += decoder.decode(chunk, { stream: true });
      text += decoder.decode();
    } catch (error) {
      if (isAborted(call.signal)) throw aborted();
      throw this.#lost(error, controller.signal.aborted);
    }
    return this.#parse(text, answer.status);
  }

  #parse(text: string, status: number): unknown {
    try {
      const value: unknown = JSON.parse(text);
      return value;
    } catch {
      throw errorOf(null, status, this.#base.href);
    }
  }

  /** Tries again only while there was no answer at all: with the same idempotency key, so that nothing happens twice. */
  async #send(call: Call, controller: AbortController): Promise<ApiAnswer> {
    const url = new URL(call.path.map(encodeURIComponent).join("/"), this.#base);
    for (const [key, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const headers: Record<string, string> = { accept: "application/json, application/x-ndjson" };
    if (this.#token !== undefined) headers["authorization"] = `Bearer ${this.#token}`;
    if (call.json !== undefined) headers["content-type"] = "application/json";
    if (call.stream !== undefined) headers["content-type"] = "application/octet-stream";
    if (call.method !== "GET") headers["idempotency-key"] = newKey();
    const signal =
      call.signal === undefined ? controller.signal : AbortSignal.any([call.signal, controller.signal]);
    const failures: unknown[] = [];
    const json = call.json === undefined ? null : JSON.stringify(call.json);
    const body = call.stream === undefined ? json : noting(call.stream, failures);
    const request: ApiRequest = { method: call.method, url, headers, body, signal };
    for (let attempt = 0; ; attempt += 1) {
      if (isAborted(call.signal)) throw aborted();
      try {
        return await this.#exchange(request);
      } catch (error) {
        if (isAborted(call.signal)) throw aborted();
        // What the caller's own stream failed with says more than that the upload ended.
        if (failures.length > 0) throw failures[0];
        const delayMs = RETRY_DELAYS_MS[attempt];
        if (
          controller.signal.aborted ||
          call.stream !== undefined ||
          call.once === true ||
          delayMs === undefined
        ) {
          throw this.#lost(error, controller.signal.aborted);
        }
        await pause(delayMs, signal);
      }
    }
  }

  /** `hasBegun`: part of the answer came. Then `details.brokeOff` is true. */
  #lost(error: unknown, timedOut: boolean, hasBegun = false): DinpError {
    const url = this.#base.href.replace(/\/$/, "");
    const distrust = certificateAdvice(error);
    const details = {
      ...(hasBegun ? { brokeOff: true } : {}),
      ...(distrust === null ? {} : { distrusted: true }),
    };
    if (timedOut) {
      return new DinpError("DINP_TIMEOUT", `The API at ${url} did not answer in time.`, {
        retryable: true,
        details,
        hint: "Look at the platform's own output, then try again.",
      });
    }
    const what = hasBegun ? `The answer of the API at ${url} broke off` : `Cannot reach the API at ${url}`;
    return new DinpError("DINP_UNAVAILABLE", `${what} (${reasonOf(error)}).`, {
      retryable: true,
      details,
      cause: error,
      hint: distrust ?? "Is `dinp up` running? If the API is elsewhere, say its URL.",
    });
  }
}
