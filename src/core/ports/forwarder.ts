import type { Endpoint } from "../model/records.js";

/** Fields that the router adds to a forwarded request, after the client's own of the same names were removed. */
export type AddedFields = Readonly<Record<string, string>>;

/**
 * How one attempt ended.
 * `answered`: the endpoint's response head was passed on (the body may since have failed, see `complete`).
 * `failed`: nothing was sent to the client. `retryable` is true only when the endpoint cannot have seen the request, or
 * the request is idempotent and without a body; and when the request can be sent again from its first byte.
 * `client-gone`: the client went away; nobody's failure.
 */
export type ForwardOutcome =
  | { readonly kind: "answered"; readonly status: number; readonly complete: boolean }
  | {
      readonly kind: "failed";
      readonly reason: "connect" | "timeout" | "reset" | "bad-response";
      readonly retryable: boolean;
      readonly message: string;
    }
  | { readonly kind: "client-gone" };

export interface ForwardOptions {
  readonly addedFields: AddedFields;
  readonly connectTimeoutMs: number;
  /** From the last byte sent to the response head. */
  readonly responseTimeoutMs: number;
}

/**
 * Sends one request to one endpoint and the answer back. `Exchange` is what the listening side hands over for one
 * request (for `node:http`: request and response), opaque to core. Never rejects but for misuse.
 */
export interface Forwarder<Exchange> {
  forward(exchange: Exchange, endpoint: Endpoint, options: ForwardOptions): Promise<ForwardOutcome>;
  /** Ends idle connections. Idempotent. */
  close(): Promise<void>;
}
