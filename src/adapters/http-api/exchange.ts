import { toReadableStream } from "./ndjson.js";

/** A request that is ready to be sent. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is read once, only as fast as it is sent, and let go of when the signal aborts. */
  readonly body: string | AsyncIterable<Uint8Array> | null;
  readonly signal: AbortSignal;
}

/** An answer whose body is still to come. */
export interface ApiAnswer {
  readonly status: number;
  /** Read once; rejects when it breaks off or the request's signal aborts. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Sends one request and resolves when the head of its answer has come; redirects are answers. The request's signal aborts
 * all of it, also a body that is still being sent. Rejects when there is no answer, for what `code` says, of the error or of its `cause`.
 */
export type Exchange = (request: ApiRequest) => Promise<ApiAnswer>;

/** An {@link Exchange} by a `fetch`. */
export function exchangeByFetch(fetch: typeof globalThis.fetch): Exchange {
  return async ({ method, url, headers, body, signal }) => {
    const init: RequestInit & { duplex?: "half" } = { method, headers, redirect: "manual", signal };
    if (typeof body === "string") init.body = body;
    else if (body !== null) {
      init.body = toReadableStream(body, signal);
      init.duplex = "half";
    }
    const answer = await fetch(url, init);
    return { status: answer.status, bytes: answer.body ?? nothing() };
  };
}

function nothing(): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
  };
}
